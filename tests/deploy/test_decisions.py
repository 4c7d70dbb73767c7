from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as reference

from src.deploy.decisions import accuracy, auroc, changed, has_score, named, recall, targets_of
from src.spec import TaskSpec

LABELS, VALUE = TaskSpec("multilabel", ("rust", "scab")), TaskSpec("regression", ("value",), center=5, scale=2)
CLASSES = TaskSpec("classification", ("a", "b", "c"))


def samples(*truths):
    return [(Path("x"), truth) for truth in truths]


def test_targets_have_the_shape_of_decisions():
    assert targets_of(samples("b", "a"), CLASSES, "val").tolist() == [1, 0]
    assert targets_of(samples("scab|rust", "", "scab"), LABELS, "val").tolist() == [[1, 1], [0, 0], [0, 1]]
    assert targets_of(samples("1.5"), VALUE, "val").tolist() == [1.5]
    with pytest.raises(ValueError, match="unknown classes rot: the model knows rust, scab"):
        targets_of(samples("rust|rot"), LABELS, "val")
    with pytest.raises(ValueError, match="no pictures in split 'val'"):
        targets_of([], CLASSES, "val")


def test_what_counts_as_another_decision():
    assert changed(np.array([0, 1]), np.array([0, 2]), CLASSES, 0.0).tolist() == [False, True]
    both = np.array([[1, 0], [1, 0]])
    assert changed(both, np.array([[1, 0], [1, 1]]), LABELS, 0.0).tolist() == [False, True]
    assert changed(np.array([5.0, 5.0]), np.array([5.1, 5.3]), VALUE, 0.1).tolist() == [False, True]


def test_accuracy_and_areas_are_scikit_learns():
    random = np.random.default_rng(0)
    values, near = random.normal(size=40), random.normal(size=40)
    assert accuracy(near, values, VALUE) == pytest.approx(reference.r2_score(values, near))
    with pytest.raises(ValueError, match="all values are the same"):
        accuracy(np.ones(3), np.ones(3), VALUE)
    there, chances = random.integers(0, 2, (40, 2)), random.random((40, 2))
    assert auroc(chances, there, LABELS) == pytest.approx(reference.roc_auc_score(there, chances))
    assert accuracy(chances > 0.5, there, LABELS) == pytest.approx(((chances > 0.5) == there).mean())
    assert auroc(np.zeros((3, 0)), np.ones(3), VALUE) is None
    assert named(np.array([1, 0]), LABELS) == "rust" and named(1, CLASSES) == "b" and named(2.5, VALUE) == 2.5


def test_recall_is_scikit_learns():
    random = np.random.default_rng(0)
    true, said = random.integers(0, 3, 60), random.integers(0, 3, 60)
    assert recall(said, true, CLASSES) == pytest.approx(reference.recall_score(true, said, average="macro"))
    two = TaskSpec("classification", ("bad", "good"), "bad")
    assert recall(said % 2, true % 2, two) == pytest.approx(reference.recall_score(true % 2, said % 2, pos_label=0))
    assert recall(np.ones(4, int), np.ones(4, int), two) is None
    there, found = random.integers(0, 2, (40, 2)), random.integers(0, 2, (40, 2))
    assert recall(found, there, LABELS) == pytest.approx(reference.recall_score(there, found, average="macro"))
    assert recall(np.ones(3), np.zeros(3), VALUE) is None


def test_one_value_has_no_score():
    assert not has_score(samples("3", "3.0"), VALUE) and has_score(samples("3", "4"), VALUE)
    assert has_score(samples("a", "a"), LABELS)
