"""One decision for each kind of task, with its evidence under the keys of the certificate."""

import numpy as np
import pytest

from src.decision import CannotPromise, Judgements, Objective, fit_decision, tally, trade_off, verdicts
from src.spec import TaskSpec

KEYS = {
    *("pass_below", "reject_from", "defects", "escapes", "escape_rate_upper_bound", "goods", "overkills"),
    *("overkill_rate_upper_bound", "passed", "rejected", "reviewed", "unit", "joint_confidence"),
}
BINARY = TaskSpec("classification", ("good", "nok"), "nok")
THREE = TaskSpec("classification", ("a", "b", "c"))


def probabilities(scores):
    scores = np.asarray(scores, dtype=np.float32)
    return np.stack([1 - scores, scores], axis=1)


def binary(count=200, groups=None, seed=0):
    random = np.random.default_rng(seed)
    scores = np.concatenate([random.beta(2, 6, count), random.beta(6, 2, count)])
    return Judgements(probabilities(scores), ["good"] * count + ["nok"] * count, groups)


def three(count=600, seed=0):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1, (count, 3))
    truth = random.integers(0, 3, count)
    logits[np.arange(count), truth] += 4
    shown = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Judgements(shown.astype(np.float32), [THREE.classes[index] for index in truth])


def told(task, fitted, shown):
    return tally(verdicts(task, fitted.decision, shown.outputs))


@pytest.mark.parametrize("overkill", [None, 0.05])
def test_a_binary_decision_counts_what_the_camera_will_say(overkill):
    shown = binary()
    fitted = fit_decision(BINARY, Objective(0.05, overkill), shown)
    figures = fitted.figures
    assert set(figures) >= KEYS and fitted.decision.pass_classes == ("good",)
    assert told(BINARY, fitted, shown) == {
        "pass": figures["passed"], "reject": figures["rejected"], "review": figures["reviewed"], "unknown": 0,
    }  # fmt: skip
    assert figures["escape_rate_upper_bound"] <= 0.05 and figures["escapes"] == 4  # of 200, 4 may
    assert (figures["reviewed"] > 0) == (overkill is not None)
    assert figures["joint_confidence"] == (0.95 if overkill is None else 0.9)


def test_groups_are_what_is_counted():
    groups = [f"lot {number // 2}" for number in range(200)] + [f"lot {number // 2}" for number in range(200)]
    fitted = fit_decision(BINARY, Objective(0.05), binary(groups=groups))
    assert (fitted.figures["unit"], fitted.decision.unit, fitted.figures["defects"]) == ("group", "group", 100)


def test_several_classes_pass_by_name_or_are_decided_where_they_are_sure():
    shown = three()
    fitted = fit_decision(THREE, Objective(0.1, pass_classes=("a", "b")), shown)
    assert fitted.decision.pass_classes == ("a", "b") and fitted.figures["escapes"] is not None
    with pytest.raises(ValueError, match="fixed by validation images"):
        fit_decision(THREE, Objective(0.1), shown)
    decided = fit_decision(THREE, Objective(0.05), shown, three(seed=1))
    assert set(decided.figures) >= KEYS and decided.figures["escapes"] is None
    assert told(THREE, decided, shown)["pass"] == decided.figures["passed"] and decided.figures["rejected"] == 0
    assert decided.figures["error_rate_upper_bound"] <= 0.05


def test_labels_that_must_not_be_missed_are_named():
    task, random = TaskSpec("multilabel", ("rust", "dent")), np.random.default_rng(0)
    has = random.random((600, 2)) < 0.3
    shown = Judgements(
        np.where(has, random.beta(8, 2, has.shape), random.beta(2, 8, has.shape)).astype(np.float32),
        [tuple(name for name, there in zip(task.classes, row, strict=True) if there) for row in has],
    )
    with pytest.raises(ValueError, match=r"name the labels that must not be missed, decision.labels=\[...\], of rust"):
        fit_decision(task, Objective(0.05), shown)
    with pytest.raises(ValueError, match=r"'scratch' in decision.labels are no labels: choose from rust, dent"):
        fit_decision(task, Objective(0.05, labels=("scratch",)), shown)
    fitted = fit_decision(task, Objective(0.05, labels=("dent", "rust")), shown)
    assert set(fitted.figures) >= KEYS and len(fitted.decision.pass_below) == 2
    assert told(task, fitted, shown)["pass"] == fitted.figures["passed"]


def test_a_value_passes_by_its_limits():
    task, random = TaskSpec("regression", ("mm",)), np.random.default_rng(0)
    truth = random.normal(10, 2, 300)
    shown = Judgements((truth + random.normal(0, 0.1, 300)).astype(np.float32), list(truth))
    with pytest.raises(ValueError, match=r"decision.limits=\[low,high\]"):
        fit_decision(task, Objective(0.05), shown)
    fitted = fit_decision(task, Objective(0.05, limits=(8.0, None)), shown)
    assert set(fitted.figures) >= KEYS and 0 < fitted.decision.margin < 0.5
    assert told(task, fitted, shown)["pass"] == fitted.figures["passed"] and fitted.figures["escapes"] <= 15


@pytest.mark.parametrize(
    ("asked", "task", "said"),
    [
        ({"escape_rate": 0}, BINARY, "escape_rate=0 must be above 0 and below 1"),
        ({"escape_rate": "many"}, BINARY, "escape_rate=many must be above 0 and below 1"),
        ({"escape_rate": 0.05, "overkill_rate": 1.5}, BINARY, "overkill_rate=1.5 must be"),
        ({"escape_rate": 0.05, "confidence": 1.0}, BINARY, "confidence=1.0 must be"),
        ({"escape_rate": 0.05, "pass_classes": ("goood",)}, BINARY, "'goood' in pass_classes are no classes"),
        ({"escape_rate": 0.05, "labels": ("nok",)}, BINARY, "decision.labels means nothing where the task is class"),
        ({"escape_rate": 0.05, "limits": (1.0, 2.0)}, BINARY, "decision.limits means nothing"),
        ({"escape_rate": 0.05, "overkill_rate": 0.05}, THREE, "leave it out here"),
        ({"escape_rate": 0.05}, TaskSpec("ordinal", ("low", "high")), "name the classes that may pass"),
    ],
)
def test_what_is_asked_wrongly_is_said(asked, task, said):
    with pytest.raises(ValueError, match=said) as caught:
        fit_decision(task, Objective(**asked), three() if task is THREE else binary())
    assert not isinstance(caught.value, CannotPromise)


@pytest.mark.parametrize("defects", [0, 5])
def test_too_few_defects_are_a_promise_that_cannot_be_given(defects):
    scores = np.linspace(0.1, 0.9, 20 + defects)
    shown = Judgements(probabilities(scores), ["good"] * 20 + ["nok"] * defects)
    with pytest.raises(CannotPromise) as caught:
        fit_decision(BINARY, Objective(0.05), shown)
    assert caught.value.needed == 59


@pytest.mark.parametrize("scores", [np.full(100, 0.5), np.full(100, np.nan)])
def test_scores_that_say_nothing_are_refused(scores):
    with pytest.raises(ValueError, match=r"equal|NaN"):
        fit_decision(BINARY, Objective(0.05), Judgements(probabilities(scores), ["good", "nok"] * 50))


def test_the_rates_at_every_threshold_are_those_counted():
    scores, is_defect = np.array([0.1, 0.2, 0.4, 0.6, 0.8]), np.array([False, True, False, True, True])
    rates = trade_off(scores, is_defect, 0.95)
    for place, threshold in enumerate(rates.thresholds):
        assert rates.escapes[place] == (scores[is_defect] < threshold).mean()
        assert rates.overkills[place] == (scores[~is_defect] >= threshold).mean()
    assert (rates.escape_bounds >= rates.escapes).all() and (rates.overkill_bounds >= rates.overkills).all()
    assert (rates.escapes[0], rates.escapes[-1], rates.overkills[0], rates.overkills[-1]) == (0, 1, 1, 0)
