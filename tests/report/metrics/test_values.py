import numpy as np
import pytest
from sklearn import metrics as reference

from src.report.metrics import compute
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
