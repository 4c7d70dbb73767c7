import numpy as np
import pytest
from sklearn import metrics as reference

from src.metrics import compute
from src.report.predictions import Predictions
from tests.report.fakes import labels


def test_figures_are_those_of_scikit_learn():
    rows = labels(images=300)
    targets, decided, scores = rows.target_matrix, rows.predicted_matrix, rows.probabilities
    assert compute(rows, None) == pytest.approx(
        {
            "accuracy": 1 - reference.hamming_loss(targets, decided),
            "exact_match": reference.accuracy_score(targets, decided),
            "f1": reference.f1_score(targets, decided, average="macro"),
            "auroc": reference.roc_auc_score(targets, scores),
            "average_precision": reference.average_precision_score(targets, scores),
            "loss": np.mean([reference.log_loss(targets[:, k], scores[:, k]) for k in range(3)]),
        },
        abs=2e-6,
    )


def test_a_label_that_all_or_no_images_have_is_left_out_of_what_ranks():
    chances = np.array([[0.9, 0.8, 0.1], [0.7, 0.3, 0.2]])
    rows = Predictions(("a", "b"), ("test",) * 2, ("x|y", "x"), ("x|y", "x"), chances, ("x", "y", "z"), "multilabel")
    figures = compute(rows, None)
    assert (figures["auroc"], figures["average_precision"], figures["f1"]) == (1, 1, 1)
    nothing = rows.take([1])
    assert compute(nothing, None)["auroc"] is None and compute(nothing, None)["exact_match"] == 1
