"""Each metric is torchmetrics' and scikit-learn's, and one weighted formula gives the point and every resample."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn import metrics as sklearn
from torchmetrics.functional import classification as torched
from torchmetrics.functional import regression

from src.metrics import METRICS, compute, compute_one, intervals
from src.metrics.weighted import Weighted
from tests.report.fakes import grades, labels, predictions, values

EXACT = 1e-12


def tensors(rows):
    indices = (torch.from_numpy(column) for column in (rows.predicted_indices, rows.target_indices))
    return (*indices, torch.from_numpy(rows.probabilities))


@pytest.mark.parametrize("levels", [None, 8])
@pytest.mark.parametrize("seed", range(3))
def test_figures_of_a_defect_are_those_of_torchmetrics(seed, levels):
    rows = predictions(images=300, seed=seed, levels=levels)
    decided, targets, chances = tensors(rows)
    reference = {
        "accuracy": torched.binary_accuracy(decided, targets),
        "balanced_accuracy": torched.multiclass_recall(decided, targets, 2, average="macro"),
        "f1": torched.binary_f1_score(decided, targets),
        "auroc": torched.binary_auroc(chances[:, 1], targets),
        "average_precision": torched.binary_average_precision(chances[:, 1], targets),
        "loss": torch.nn.functional.nll_loss(chances.log(), targets),
    }
    found = compute(rows, "bad")
    assert found == pytest.approx({name: float(value) for name, value in reference.items()}, abs=2e-7)  # it has float32
    assert compute_one("recall", rows, "bad") == pytest.approx(float(torched.binary_recall(decided, targets)), abs=2e-7)


def test_figures_of_grades_and_values_are_those_of_torchmetrics():
    rows = grades(images=300)
    decided, targets, _ = tensors(rows)
    kappa = torched.multiclass_cohen_kappa(decided, targets, 3, weights="quadratic")
    assert compute_one("quadratic_kappa", rows, None) == pytest.approx(float(kappa), abs=2e-7)
    rows = values(images=300)
    decided, true = torch.from_numpy(rows.predicted_values), torch.from_numpy(rows.target_values)
    assert compute(rows, None) == pytest.approx(
        {
            "mean_absolute_error": float(regression.mean_absolute_error(decided, true)),
            "root_mean_squared_error": float(regression.mean_squared_error(decided, true, squared=False)),
            "r2": float(regression.r2_score(decided, true)),
            "pearson": float(regression.pearson_corrcoef(decided, true)),
        },
        abs=EXACT,
    )


@pytest.mark.parametrize("levels", [None, 5])
def test_weights_are_those_of_scikit_learn(levels):
    rows = predictions(("a", "b", "c"), 200, seed=1, levels=levels)
    weights = np.random.default_rng(0).exponential(size=200)
    weighted = Weighted(rows, weights[None])
    targets, decided = rows.target_indices, rows.predicted_indices
    there = rows.target_matrix
    options = {"sample_weight": weights}
    for name, value in {
        "accuracy": sklearn.accuracy_score(targets, decided, **options),
        "balanced_accuracy": sklearn.balanced_accuracy_score(targets, decided, **options),
        "recall": sklearn.recall_score(targets, decided, average="macro", **options),
        "f1": sklearn.f1_score(targets, decided, average="macro", **options),
        "auroc": sklearn.roc_auc_score(there, rows.probabilities, **options),
        "average_precision": sklearn.average_precision_score(there, rows.probabilities, **options),
        "loss": sklearn.log_loss(targets, rows.probabilities, **options),
        "quadratic_kappa": sklearn.cohen_kappa_score(targets, decided, weights="quadratic", **options),
    }.items():
        assert METRICS[name].compute(weighted)[0] == pytest.approx(value, abs=EXACT), name


def test_weights_of_values_and_labels_are_those_of_scikit_learn():
    rows, weights = values(images=100), np.random.default_rng(0).exponential(size=100)
    true, decided = rows.target_values, rows.predicted_values
    for name, value in {
        "mean_absolute_error": sklearn.mean_absolute_error(true, decided, sample_weight=weights),
        "root_mean_squared_error": sklearn.root_mean_squared_error(true, decided, sample_weight=weights),
        "r2": sklearn.r2_score(true, decided, sample_weight=weights),
        "pearson": np.cov(true, decided, aweights=weights)[0, 1]
        / np.sqrt(np.prod(np.diag(np.cov(true, decided, aweights=weights)))),
    }.items():
        assert METRICS[name].compute(Weighted(rows, weights[None]))[0] == pytest.approx(value, abs=EXACT), name
    several = labels(images=100)
    there, said = several.target_matrix, several.predicted_matrix
    for name, value in {
        "accuracy": 1 - sklearn.hamming_loss(there, said, sample_weight=weights),
        "exact_match": sklearn.accuracy_score(there, said, sample_weight=weights),
    }.items():
        assert METRICS[name].compute(Weighted(several, weights[None]))[0] == pytest.approx(value, abs=EXACT), name


@pytest.mark.parametrize("count", [1, 7, 656])
def test_the_exact_interval_is_that_of_clopper_and_pearson(count):
    rows = predictions(images=20 * count + 60)
    right = rows.take(np.flatnonzero(rows.target_indices == rows.predicted_indices)[:count])
    low, high = intervals(right, "bad", samples=20)["accuracy"]
    assert (low, high) == binomtest(count, count).proportion_ci(0.95, "exact")
    assert low == pytest.approx(0.025 ** (1 / count), abs=EXACT) and high == 1


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, 1 / 3])
def test_equal_values_have_no_r2_in_any_resample(value):
    """Their mean is another number by rounding, of which the ratio of two roundings must not come."""
    rows = values(images=7)
    weights = np.array([[7.0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]])
    alike = type(rows)(
        rows.paths, rows.splits, (repr(value),) * 7, rows.predicted, rows.probabilities, rows.classes, rows.kind
    )
    for name in ("r2", "pearson"):
        assert np.isnan(METRICS[name].compute(Weighted(alike, weights))).all()
        assert np.isnan(METRICS[name].compute(Weighted(rows, weights))).tolist() == [True, False]
