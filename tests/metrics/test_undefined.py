import math

import numpy as np
import pytest

from src.kinds import Decided
from src.metrics import compute, intervals, why_undefined


def rows(kind, targets, decided, classes=("good", "scratch", "rust")):
    """Judged images of which every figure but those in question exists."""
    targets, decided = np.array(targets), np.array(decided)
    shape = (len(targets), 0 if kind == "regression" else len(classes))
    return Decided(kind, classes, np.full(shape, 1 / len(classes)), targets, decided)


@pytest.mark.parametrize(
    ("kind", "targets", "decided", "positive", "reasons"),
    [
        ("classification", [0, 0], [0, 2], None, {"auroc": "every image is good"}),
        (
            "classification",
            [0, 0],
            [0, 0],
            "rust",
            {"auroc": "every image is good", "f1": "no image is rust, and none"},
        ),
        ("classification", [0, 1], [0, 2], "rust", {"average_precision": "no image is rust"}),
        ("classification", [2], [2], "rust", {"auroc": "every image is rust"}),
        ("ordinal", [1, 1], [1, 1], None, {"quadratic_kappa": "every image is scratch, and was taken for it"}),
        ("multilabel", [[0, 0, 0]], [[0, 0, 0]], None, {"auroc": "no image has a label", "f1": "none was given one"}),
        ("multilabel", [[1, 0, 0]], [[1, 0, 0]], None, {"auroc": "no label is on some images and not on others"}),
        ("regression", [3.5, 3.5], [1.0, 2.0], None, {"r2": "every value is 3.5", "pearson": "every value is 3.5"}),
        ("regression", [1.0, 2.0], [3.0, 3.0], None, {"pearson": "every image was given the same value"}),
    ],
)
def test_what_does_not_exist_says_why_and_the_rest_exists(kind, targets, decided, positive, reasons):
    judged = rows(kind, targets, decided)
    figures = compute(judged, positive)
    why = why_undefined(judged, positive, figures)
    assert set(why) == {name for name, value in figures.items() if value is None}
    assert all(reason in why[name] for name, reason in reasons.items())
    assert figures["mean_absolute_error" if kind == "regression" else "accuracy"] is not None


def test_outputs_that_are_no_numbers_give_nan_and_no_reason():
    judged = rows("regression", [1.0, 2.0, 3.0], [1.0, np.nan, 3.0])
    figures = compute(judged, None)
    assert all(value is not None and math.isnan(value) for value in figures.values())
    assert why_undefined(judged, None, figures) == {} and intervals(judged, None) == {}


def test_chances_that_are_no_numbers_spoil_what_is_computed_from_them_alone():
    judged = Decided(
        "multilabel", ("a", "b"), np.full((4, 2), np.nan), np.eye(4, 2, dtype=int), np.eye(4, 2, dtype=int)
    )
    figures = compute(judged, None)
    spoilt = {name for name, value in figures.items() if value is not None and math.isnan(value)}
    assert spoilt == {"auroc", "average_precision", "loss"} & set(figures) and figures["accuracy"] == 1
    assert why_undefined(judged, None, figures) == {}
