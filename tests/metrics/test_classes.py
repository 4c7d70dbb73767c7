import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as reference
from sklearn.preprocessing import label_binarize

from src.metrics import METRICS, compute, confusion, intervals, outcomes
from src.metrics.weighted import Weighted
from src.report.predictions import Predictions
from tests.report.fakes import predictions

FIGURES = ("accuracy", "balanced_accuracy", "f1", "auroc", "average_precision", "loss")


def rows(targets, predicted, probabilities, classes=("good", "bad")):
    images = len(targets)
    names = tuple(map(str, range(images)))
    return Predictions(
        names,
        ("test",) * images,
        tuple(targets),
        tuple(predicted),
        np.array(probabilities, float),
        classes,
        "classification",
    )


@pytest.mark.parametrize("levels", [None, 8])
def test_binary_figures_are_those_of_scikit_learn(levels):
    part = predictions(images=400, seed=1, levels=levels)
    targets, decided, scores = part.target_indices, part.predicted_indices, part.probabilities[:, 1]
    assert compute(part, "bad") == pytest.approx(
        {
            "accuracy": reference.accuracy_score(targets, decided),
            "balanced_accuracy": reference.balanced_accuracy_score(targets, decided),
            "f1": reference.f1_score(targets, decided),
            "auroc": reference.roc_auc_score(targets, scores),
            "average_precision": reference.average_precision_score(targets, scores),
            "loss": reference.log_loss(targets, np.clip(part.probabilities, 1e-30, 1)),
        },
        abs=2e-6,
    )


def test_the_positive_class_may_be_the_first():
    part = predictions(images=200, seed=2)
    targets, scores = part.target_indices == 0, part.probabilities[:, 0]
    figures = compute(part, "good")
    assert figures["f1"] == pytest.approx(reference.f1_score(targets, part.predicted_indices == 0), abs=1e-6)
    assert figures["average_precision"] == pytest.approx(reference.average_precision_score(targets, scores), abs=1e-6)


def test_multiclass_figures_are_those_of_scikit_learn():
    part = predictions(("a", "b", "c", "d"), 400, seed=3)
    targets, decided, scores = part.target_indices, part.predicted_indices, part.probabilities
    each = label_binarize(targets, classes=range(4))
    assert compute(part, None) == pytest.approx(
        {
            "accuracy": reference.accuracy_score(targets, decided),
            "balanced_accuracy": reference.balanced_accuracy_score(targets, decided),
            "f1": reference.f1_score(targets, decided, average="macro"),
            "auroc": reference.roc_auc_score(targets, scores, multi_class="ovr"),
            "average_precision": reference.average_precision_score(each, scores, average="macro"),
            "loss": reference.log_loss(targets, scores),
        },
        abs=2e-6,
    )


def test_figures_by_hand_when_a_class_is_missing():
    # targets a a b, decisions a b b: recall a 1/2, b 1; F1 a 2/3, b 2/3; class c neither occurs nor is decided
    part = rows("aab", "abb", [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.9, 0.0]], ("a", "b", "c"))
    figures = compute(part, None)
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["balanced_accuracy"] == pytest.approx(3 / 4)
    assert figures["f1"] == pytest.approx(2 / 3)
    assert figures["auroc"] == 1.0 and figures["average_precision"] == 1.0
    assert figures["loss"] == pytest.approx(-np.log([0.8, 0.2, 0.9]).mean())


def test_with_one_class_ranking_is_undefined():
    part = rows(["good"] * 3, ["good"] * 3, [[0.9, 0.1]] * 3)
    figures = compute(part, "bad")
    assert (figures["f1"], figures["auroc"], figures["average_precision"]) == (None, None, None)
    assert figures["accuracy"] == figures["balanced_accuracy"] == 1.0
    assert json.dumps(figures["auroc"]) == "null"
    assert set(intervals(part, "bad")) == {"accuracy"}


def test_an_impossible_probability_gives_a_finite_loss():
    assert np.isfinite(compute(rows(["bad"], ["good"], [[1.0, 0.0]]), "bad")["loss"])


def test_the_decision_counts_not_the_largest_probability():
    assert compute(rows(["bad"], ["bad"], [[0.7, 0.3]]), "bad")["accuracy"] == 1.0


@settings(deadline=None, max_examples=80)
@given(
    classes=st.integers(2, 4),
    images=st.integers(1, 14),
    seed=st.integers(0, 9999),
    levels=st.sampled_from([None, 4]),
    binary=st.booleans(),
    data=st.data(),
)
def test_a_resample_of_the_bootstrap_has_the_figures_of_the_repeated_rows(classes, images, seed, levels, binary, data):
    names = tuple("abcd"[:classes])
    part = predictions(names, images, seed, levels=levels)
    drawn = data.draw(st.lists(st.integers(0, images - 1), min_size=images, max_size=images))
    positive = "a" if binary else None
    weights = np.bincount(drawn, minlength=images).astype(float)[None]
    drawing = Weighted(part, weights, positive)
    resampled = {name: METRICS[name].compute(drawing) for name in FIGURES}
    expected = compute(part.take(drawn), positive)
    assert set(resampled) == set(expected) == set(FIGURES)
    for name, value in expected.items():
        assert resampled[name][0] == pytest.approx(np.nan if value is None else value, abs=2e-6, nan_ok=True), name


def test_intervals_are_those_of_a_plain_bootstrap_with_scikit_learn():
    part = predictions(images=150, seed=4)
    generator = np.random.default_rng(99)
    targets, scores = part.target_indices, part.probabilities[:, 1]
    draws = [generator.integers(150, size=150) for _ in range(600)]
    areas = [reference.roc_auc_score(targets[draw], scores[draw]) for draw in draws]
    assert intervals(part, "bad")["auroc"] == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=0.012)


def test_the_interval_of_an_accuracy_is_the_binomial_one():
    right = ["good"] * 320 + ["bad"] * 80  # 80 % of 400
    part = rows(["good"] * 400, right, [[0.5, 0.5]] * 400)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert intervals(part, "bad", samples=4000)["accuracy"] == pytest.approx((0.8 - half, 0.8 + half), abs=0.005)


@pytest.mark.parametrize("count", [1, 23])
def test_without_an_error_the_interval_is_the_exact_one_and_not_empty(count):
    right = rows(["good", "bad"] * count, ["good", "bad"] * count, [[0.9, 0.1], [0.2, 0.8]] * count)
    wrong = rows(["good", "bad"] * count, ["bad", "good"] * count, [[0.9, 0.1], [0.2, 0.8]] * count)
    exact = binomtest(2 * count, 2 * count).proportion_ci(0.95, "exact")
    found = intervals(right, "bad")
    assert found["accuracy"] == pytest.approx((exact.low, exact.high))
    assert intervals(wrong, "bad")["accuracy"] == pytest.approx((1 - exact.high, 1 - exact.low))
    assert "balanced_accuracy" not in found and "auroc" not in found  # nothing is known of how far they could be off


def test_intervals_are_deterministic_and_hold_the_figure(monkeypatch):
    part = predictions(("a", "b", "c"), 90, seed=5)
    first = intervals(part, None)
    assert intervals(part, None) == first
    assert intervals(part, None, seed=1) != first
    monkeypatch.setattr("src.metrics.weighted.BLOCK", 90 * 7)  # the size of a block changes nothing
    assert intervals(part, None) == first
    for name, value in compute(part, None).items():
        low, high = first[name]
        assert low <= value <= high


def test_confusion_is_that_of_scikit_learn():
    part = predictions(("a", "b", "c"), 200, seed=6)
    assert np.array_equal(confusion(part), reference.confusion_matrix(part.target_indices, part.predicted_indices))


def test_outcomes_are_those_of_scikit_learn():
    part = predictions(images=200, seed=7)
    passed, alarms, missed, found = reference.confusion_matrix(part.target_indices, part.predicted_indices).ravel()
    counts = outcomes(part, "bad")
    assert (counts.found, counts.missed, counts.alarms, counts.passed) == (found, missed, alarms, passed)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="no predictions to measure"):
        compute(predictions().of("val"), "bad")
    with pytest.raises(ValueError, match="positive class 'worse' is not among good, bad"):
        intervals(predictions(), "worse")
