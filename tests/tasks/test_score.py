"""The history's figures are the report's, also where a class is absent, and both are scikit-learn's."""

import math
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from torch import nn

from src.data import Sample
from src.data.targets import targets
from src.kinds import find_kind
from src.metrics import compute
from src.report import tabulate
from src.tasks import ClassificationTask, MultilabelTask, OrdinalTask, RegressionTask
from src.tasks.head import PENALTIES, fit_head
from src.tasks.score import figures

CLASSES = ("a", "b", "c", "d")
KINDS = {task.kind: task for task in (ClassificationTask, OrdinalTask, MultilabelTask, RegressionTask)}


def sample(truth, kind="classification"):
    if kind == "regression":
        return Sample(Path("x.png"), "x", "val", value=truth)
    return Sample(Path("x.png"), str(truth), "val", labels=tuple(truth) if kind == "multilabel" else None)


def drawn(kind, allowed, seed, images=40):
    """Draw the truths of some images, of some of the classes alone, and logits that are often right."""
    generator = np.random.default_rng(seed)
    if kind == "regression":
        values = generator.normal(3, 2, images).astype(np.float32)
        return [sample(float(value), kind) for value in values], torch.tensor(values + generator.normal(size=images))
    there = generator.random((images, 4)) < 0.4
    picked = generator.choice([CLASSES.index(name) for name in allowed], images)
    there &= np.isin(CLASSES, list(allowed))
    truths = [[name for name, on in zip(CLASSES, row, strict=True) if on] for row in there]
    told = truths if kind == "multilabel" else [CLASSES[index] for index in picked]
    aims = there if kind == "multilabel" else np.eye(4)[picked]
    return [sample(truth, kind) for truth in told], torch.tensor(3 * aims - 1.5 + 2 * generator.normal(size=aims.shape))


def logged(task, samples, logits, monkeypatch):
    """Return what an epoch that was judged in two batches leaves in the history."""
    found = {}
    task._trainer = SimpleNamespace(sanity_checking=False)
    monkeypatch.setattr(task, "log", lambda name, value, **_: found.update({name: value}))
    monkeypatch.setattr(task, "log_dict", found.update)
    aims = torch.stack([torch.as_tensor(aim) for aim in targets(samples, task.setting.task.classes)])
    for part in (slice(17), slice(17, None)):
        task.val_figures.update(logits[part], aims[part])
    task.on_validation_epoch_end()
    return {name.removeprefix("val/"): value for name, value in found.items()}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        *(("classification", names) for names in ("abcd", "abd", "bc", "c")),
        *(("ordinal", names) for names in ("abcd", "abd", "bc")),
        *(("multilabel", names) for names in ("abcd", "abd", "c")),
        ("regression", ""),
    ],
)
def test_the_historys_figures_are_those_of_the_report(kind, allowed, seed, make_task, monkeypatch):
    names = ("value",) if kind == "regression" else CLASSES
    task = make_task(KINDS[kind], *names, **({"center": 2.0, "scale": 3.0} if kind == "regression" else {}))
    samples, logits = drawn(kind, allowed, seed)
    logits = (logits[:, None] - 2.0) / 3.0 if kind == "regression" else logits
    found = logged(task, samples, logits.float(), monkeypatch)
    expected = compute(tabulate({"val": logits.float()}, {"val": samples}, task.setting.task), None)
    assert set(found) == {*expected, "score"} - {"loss"}
    for name in set(expected) - {"loss"}:
        wanted = float("nan") if expected[name] is None else expected[name]
        assert found[name] == pytest.approx(wanted, abs=1e-6, nan_ok=True), name
    assert (
        found["score"]
        == found[find_kind(kind).score]
        == pytest.approx(by_scikit_learn(kind, samples, logits), abs=1e-5)
    )


def by_scikit_learn(kind, samples, logits):
    """Return what steers a training, over the classes that occur."""
    if kind == "regression":
        return reference.r2_score([each.value for each in samples], 2.0 + 3.0 * logits[:, 0])
    if kind == "multilabel":
        there = np.array([[name in each.labels for name in CLASSES] for each in samples])
        both = there.any(0) & ~there.all(0)
        return reference.average_precision_score(there[:, both], logits.sigmoid()[:, both], average="macro")
    truths = [CLASSES.index(each.label) for each in samples]
    if kind == "ordinal":
        median = (logits.softmax(1).cumsum(1) >= 0.5).int().argmax(1)
        return reference.cohen_kappa_score(truths, median, weights="quadratic", labels=range(4))
    with warnings.catch_warnings(action="ignore"):  # of classes that are decided and do not occur
        return reference.balanced_accuracy_score(truths, logits.argmax(1))


def test_an_absent_class_that_is_decided_does_not_lower_the_score(make_task, monkeypatch):
    truths, decided = [0, 0, 1, 1, 2, 2], [0, 1, 1, 0, 3, 3]
    task, samples = make_task(ClassificationTask, *CLASSES), [sample(CLASSES[index]) for index in truths]
    found = logged(task, samples, torch.eye(4)[decided], monkeypatch)
    assert found["balanced_accuracy"] == found["score"] == pytest.approx(1 / 3)  # over all four classes: 1/4


def test_the_figures_of_two_classes_are_those_of_the_defect(make_task):
    task = make_task(ClassificationTask, "bad", "good", positive="bad")
    logits, aims = torch.tensor([[2.0, 0], [0, 1], [0, 3], [1, 0]]), torch.tensor([0, 0, 1, 1])
    f1 = figures(logits, aims, task.setting.task)["f1"]
    assert f1 == reference.f1_score(aims, logits.argmax(1), pos_label=0) == 0.5


@pytest.mark.parametrize(
    ("kind", "truths", "way"),
    [
        ("ordinal", ["low", "low"], "every image of val has the grade 'low', so there is no quadratic kappa"),
        ("multilabel", [[], []], "val has no label that some of its images have and others lack"),
        ("multilabel", [["a", "b"], ["a", "b"]], "no average precision to steer by: give val images with a label"),
        ("regression", [3.0, 3.0], "val has one value only"),
    ],
)
def test_a_score_that_cannot_exist_is_refused(kind, truths, way):
    assert way in find_kind(kind).why_no_score([sample(truth, kind).truth for truth in truths])


@pytest.mark.parametrize(
    ("kind", "truths"),
    [
        ("classification", ["a"]),
        ("ordinal", ["a", "b"]),
        ("multilabel", [["a"], []]),
        ("multilabel", [["a"], ["b"]]),
        ("regression", [3.0, 4.0]),
    ],
)
def test_a_score_that_exists_is_taken(kind, truths):
    assert find_kind(kind).why_no_score([sample(truth, kind).truth for truth in truths]) is None


def test_a_part_of_val_without_a_score_is_said(make_task, monkeypatch):
    task = make_task(OrdinalTask, *CLASSES)
    with pytest.raises(ValueError, match=r"no quadratic kappa.*leave out trainer\.limit_val_batches"):
        logged(task, [sample("b")] * 20, torch.eye(4)[[1] * 20], monkeypatch)


def test_a_fit_of_the_head_that_diverged_has_no_score_and_another_is_taken(make_task):
    built = make_task(RegressionTask, "sugar")
    targets = torch.tensor([[1.0], [2.0], [3.0]])
    assert math.isnan(built._score(torch.full((3, 1), math.nan), targets)) and built._score(targets, targets) == 1
    calls = []

    def score(logits, true):
        calls.append(logits)
        return built._score(logits * math.nan if len(calls) == 1 else logits, true)

    x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    true = x[:, :1]
    best = fit_head(nn.Linear(4, 1), (x, true), (x, true), lambda out, aim, _: (out - aim).square().mean(), score)
    assert len(calls) == len(PENALTIES) and best > 0.9
