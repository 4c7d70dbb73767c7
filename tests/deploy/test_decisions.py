from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as reference

from src.deploy.decisions import auroc, gate_score, judged, recall, targets_of, why_no_score
from src.spec import TaskSpec

LABELS, VALUE = TaskSpec("multilabel", ("rust", "scab")), TaskSpec("regression", ("value",), center=5, scale=2)
CLASSES = TaskSpec("classification", ("a", "b", "c"))


def samples(*truths):
    return [(Path("x"), truth) for truth in truths]


def rows(task, decided, targets, probabilities=None):
    shape = (len(targets), len(task.classes) if task.kind != "regression" else 0)
    chances = np.zeros(shape, np.float32) if probabilities is None else probabilities
    return judged((np.zeros(shape, np.float32), chances, decided), targets, task)


def test_targets_have_the_shape_of_decisions():
    assert targets_of(samples("b", "a"), CLASSES, "val").tolist() == [1, 0]
    assert targets_of(samples("scab|rust", "", "scab"), LABELS, "val").tolist() == [[1, 1], [0, 0], [0, 1]]
    assert targets_of(samples("1.5"), VALUE, "val").tolist() == [1.5]
    with pytest.raises(ValueError, match="the truth 'rot' is unknown: it must be one of rust, scab"):
        targets_of(samples("rust|rot"), LABELS, "val")
    with pytest.raises(ValueError, match="no pictures in split 'val'"):
        targets_of([], CLASSES, "val")


def test_scores_and_areas_are_scikit_learns():
    random = np.random.default_rng(0)
    values, near = random.normal(size=40), random.normal(size=40)
    assert gate_score(rows(VALUE, near, values), VALUE) == pytest.approx(reference.r2_score(values, near), abs=1e-12)
    with pytest.raises(ValueError, match=r"every value is 0\.1, so the gate cannot tell"):
        gate_score(rows(VALUE, np.ones(3), np.full(3, 0.1)), VALUE)
    there, chances = random.integers(0, 2, (40, 2)), random.random((40, 2)).astype(np.float32)
    decided = rows(LABELS, (chances > 0.5).astype(int), there, chances)
    assert auroc(decided, LABELS) == pytest.approx(reference.roc_auc_score(there, chances), abs=1e-12)
    assert gate_score(decided, LABELS) == ((chances > 0.5) == there).mean()
    assert auroc(rows(VALUE, np.ones(3), np.ones(3)), VALUE) is None
    chances[3, 1] = np.nan  # of a broken file
    assert auroc(rows(LABELS, there, there, chances), LABELS) is None


def test_recall_is_scikit_learns():
    random = np.random.default_rng(0)
    true, said = random.integers(0, 3, 60), random.integers(0, 3, 60)
    mean = reference.recall_score(true, said, average="macro")
    assert recall(rows(CLASSES, said, true), CLASSES) == pytest.approx(mean, abs=1e-12)
    two = TaskSpec("classification", ("bad", "good"), "bad")
    assert recall(rows(two, said % 2, true % 2), two) == pytest.approx(
        reference.recall_score(true % 2, said % 2, pos_label=0), abs=1e-12
    )
    assert recall(rows(two, np.ones(4, int), np.ones(4, int)), two) is None
    there, found = random.integers(0, 2, (40, 2)), random.integers(0, 2, (40, 2))
    mean = reference.recall_score(there, found, average="macro")
    assert recall(rows(LABELS, found, there), LABELS) == pytest.approx(mean, abs=1e-12)
    assert recall(rows(VALUE, np.ones(3), np.zeros(3)), VALUE) is None


def test_one_value_has_no_score():
    assert why_no_score(samples("3", "3.0"), VALUE) == "every value is 3"
    scored = (("3", "4"), VALUE), (("a", "a"), CLASSES), (("", ""), LABELS)
    assert [why_no_score(samples(*truths), task) for truths, task in scored] == [None] * 3
