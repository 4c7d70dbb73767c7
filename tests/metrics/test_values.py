import numpy as np
import pytest
from sklearn import metrics as reference

from src.metrics import compute
from src.report.predictions import Predictions
from tests.report.fakes import values


def test_figures_are_those_of_scikit_learn_and_numpy():
    rows = values(images=300)
    true, decided = rows.target_values, rows.predicted_values
    assert compute(rows, None) == pytest.approx(
        {
            "mean_absolute_error": reference.mean_absolute_error(true, decided),
            "root_mean_squared_error": reference.root_mean_squared_error(true, decided),
            "r2": reference.r2_score(true, decided),
            "pearson": np.corrcoef(true, decided)[0, 1],
        },
        rel=1e-5,
    )


def test_what_needs_unlike_values_is_undefined_without():
    rows = Predictions(("a", "b"), ("test",) * 2, ("1", "1.0"), ("2", "3"), np.zeros((2, 0)), ("value",), "regression")
    figures = compute(rows, None)
    assert (figures["r2"], figures["pearson"], figures["mean_absolute_error"]) == (None, None, 1.5)


@pytest.mark.parametrize(("scale", "offset"), [(1e-3, 0.0), (1e-9, 5e-9), (10.0, 1.7e9)])
def test_the_unit_changes_neither_r2_nor_the_correlation(scale, offset):
    rows = values(images=60)
    texts = [tuple(repr(float(scale * x + offset)) for x in c) for c in (rows.target_values, rows.predicted_values)]
    other = Predictions(rows.paths, rows.splits, *texts, rows.probabilities, rows.classes, "regression")
    plain, scaled = compute(rows, None), compute(other, None)
    assert (scaled["r2"], scaled["pearson"]) == pytest.approx((plain["r2"], plain["pearson"]), abs=1e-5)
    assert scaled["mean_absolute_error"] == pytest.approx(scale * plain["mean_absolute_error"], rel=1e-4)
