import statistics
from pathlib import Path

import pytest

from src.data.dataset_index import DatasetIndex, Sample
from src.spec import TaskSpec
from src.tasks import frequencies, require_order, task_spec


class Data:
    """Stands for an `ImageData` after `setup`."""

    def __init__(self, samples, classes, positive=None, ordered=True):
        self.index = DatasetIndex("field", Path(), tuple(samples), classes, positive, ordered=ordered)
        self.classes, self.positive = classes, positive

    def samples(self, split):
        return [sample for sample in self.index.samples if sample.split == split]


def data(*truths, classes=("a", "b"), val=1):
    splits = ["train"] * (len(truths) - val) + ["val"] * val
    return Data([Sample(Path("x"), split=split, **truth) for truth, split in zip(truths, splits, strict=True)], classes)


LABELLED = data({"label": "a"}, {"label": "b"}, {"label": "a"}, {"label": "b"}, {"label": "a"}, val=2)
SEVERAL = data(
    {"label": "a", "labels": ("a", "b")},
    {"label": "b", "labels": ("b",)},
    {"label": "(none)", "labels": ()},
    {"label": "a", "labels": ("a",)},
    val=2,
)
VALUED = Data(
    [
        Sample(Path("x"), "x", split=split, value=value)
        for split, value in (("train", 1.0), ("train", 4.0), ("val", 9.0), ("val", 2.0))
    ],
    ("value",),
)


def test_each_kind_takes_what_it_learns():
    assert task_spec("classification", LABELLED, ["identity", "both"]).views == ("identity", "both")
    assert task_spec("ordinal", LABELLED) == TaskSpec("ordinal", ("a", "b"))
    assert task_spec("multilabel", SEVERAL) == TaskSpec("multilabel", ("a", "b"))
    spec = task_spec("regression", VALUED)
    assert (spec.classes, spec.center) == (("value",), 2.5) and spec.scale == statistics.pstdev([1, 4])


def test_the_wrong_task_names_the_right_one():
    for kind, given, way in (
        ("classification", SEVERAL, "field gives any number of labels an image: add task=multilabel"),
        ("regression", LABELLED, "task=classification or task=ordinal"),
        ("ordinal", VALUED, "add task=regression"),
    ):
        with pytest.raises(ValueError, match=way):
            task_spec(kind, given)


def test_grades_without_an_order_are_refused():
    unordered = Data(LABELLED.index.samples, ("a", "b"), ordered=False)
    require_order("classification", unordered)
    require_order("ordinal", LABELLED)
    with pytest.raises(ValueError, match=r"nothing says the order of a, b: .*'data.classes=\[LOWEST,\.\.\.,HIGHEST\]'"):
        require_order("ordinal", unordered)


def test_equal_training_values_are_refused():
    with pytest.raises(ValueError, match="every value of train is 2"):
        values = [{"label": "x", "value": value} for value in (2.0, 3.0, 4.0)]
        task_spec("regression", data(*values, classes=("value",), val=2))


def test_frequencies_are_those_of_train():
    assert frequencies(LABELLED) == pytest.approx((2 / 3, 1 / 3))
    assert frequencies(SEVERAL) == pytest.approx((0.5, 1.0))
    assert frequencies(VALUED) == ()


def test_values_that_float32_or_a_score_cannot_tell_apart_are_refused():
    def valued(*values):
        splits = ("train", "train", "val", "val")
        return Data([Sample(Path("x"), "x", s, value=v) for s, v in zip(splits, values, strict=True)], ("value",))

    with pytest.raises(ValueError, match="too little for float32: take off a constant"):
        task_spec("regression", valued(1.7e9, 1.7e9 + 5, 1.7e9, 1.7e9 + 1))
    for third in (3.0, 3.0 + 1e-9):
        with pytest.raises(ValueError, match="val has one value only"):
            task_spec("regression", valued(1.0, 2.0, 3.0, third))


def test_soft_labels_and_weights_count_in_frequencies_as_in_the_loss():
    soft = data({"label": "a", "soft": (0.75, 0.25)}, {"label": "b"}, {"label": "a"})
    assert frequencies(soft) == pytest.approx((0.375, 0.625))
    heavy = data({"label": "a", "weight": 3.0}, {"label": "b", "weight": 1.0}, {"label": "b"})
    assert frequencies(heavy) == pytest.approx((0.75, 0.25))
