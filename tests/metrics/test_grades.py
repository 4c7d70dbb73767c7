from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from src.metrics import compute
from tests.report.fakes import grades


def test_figures_are_those_of_scikit_learn():
    rows = grades(images=300)
    targets, decided = rows.target_indices, rows.predicted_indices
    figures = compute(rows, None)
    kappa = reference.cohen_kappa_score(targets, decided, weights="quadratic")
    assert figures["quadratic_kappa"] == pytest.approx(kappa, abs=1e-6)
    assert figures["mean_absolute_error"] == pytest.approx(np.abs(targets - decided).mean())
    plain = compute(replace(rows, kind="classification"), None)
    assert {name: figures[name] for name in plain} == plain


def test_kappa_of_one_grade_is_undefined():
    rows = grades(images=200)
    alone = [row for row in range(200) if rows.targets[row] == rows.predicted[row] == "low"]
    figures = compute(rows.take(alone), None)
    assert figures["quadratic_kappa"] is None and figures["mean_absolute_error"] == 0
