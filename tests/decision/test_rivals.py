import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.neighbors import NearestNeighbors

from src.decision import fit_mahalanobis
from src.decision.rivals import energy, fit_neighbours, fit_relative, fit_vim
from tests.decision.test_mahalanobis import features

TRAINING, LABELS = features(200, 12)
OTHERS = np.random.default_rng(1).normal(0, 1, (40, 12))
WEIGHT, BIAS = np.random.default_rng(2).normal(0, 1, (3, 12)), np.array([0.1, -0.2, 0.3])


def tensor(values):
    return torch.tensor(values, dtype=torch.float32)


@pytest.fixture(scope="module")
def outside():
    return pytest.importorskip("pytorch_ood.detector", reason="pytorch-ood is compared with where it is installed")


def test_the_default_is_that_of_pytorch_ood(outside):
    unit, far = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (TRAINING, OTHERS))
    theirs = outside.Mahalanobis(None).fit_features(tensor(unit), tensor(LABELS).long()).predict_features(tensor(far))
    ours = fit_mahalanobis(TRAINING, LABELS, precision=np.float64).strangeness(OTHERS)
    assert ours / (2 * len(TRAINING)) == pytest.approx(theirs.numpy(), rel=5e-3)  # half, of the sum


def test_relative_distance_is_that_of_pytorch_ood(outside):
    theirs = outside.RMD(None).fit_features(tensor(TRAINING), tensor(LABELS).long()).predict_features(tensor(OTHERS))
    assert fit_relative(TRAINING, LABELS)(OTHERS) == pytest.approx(theirs.numpy(), rel=1e-3)


def test_neighbours_are_those_of_pytorch_ood(outside):
    theirs = outside.KNN(None, k=5).fit_features(tensor(TRAINING), tensor(LABELS).long())
    assert fit_neighbours(TRAINING, 5)(OTHERS) == pytest.approx(
        theirs.predict_features(tensor(OTHERS)).numpy(), rel=1e-5
    )


def test_virtual_logits_are_those_of_pytorch_ood(outside):
    theirs = outside.ViM(None, 4, tensor(WEIGHT), tensor(BIAS)).fit_features(tensor(TRAINING), tensor(LABELS))
    ours = fit_vim(TRAINING, WEIGHT, BIAS, 4)(OTHERS)
    assert ours == pytest.approx(theirs.predict_features(tensor(OTHERS)).numpy(), rel=1e-4, abs=1e-4)


def test_energy_is_that_of_pytorch_ood(outside):
    logits = OTHERS @ WEIGHT.T
    assert energy(logits) == pytest.approx(outside.EnergyBased.score(tensor(logits)).numpy(), rel=1e-5)


def test_formulas():
    logits = 100 * OTHERS @ WEIGHT.T
    assert energy(logits) == pytest.approx(-logsumexp(logits, axis=1))
    unit, far = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (TRAINING, OTHERS))
    apart, _ = NearestNeighbors(n_neighbors=5).fit(unit).kneighbors(far)
    assert fit_neighbours(TRAINING, 5)(OTHERS) == pytest.approx(apart[:, -1])
    means = np.stack([TRAINING[LABELS == each].mean(axis=0) for each in range(3)])
    within, center = TRAINING - means[LABELS], TRAINING.mean(axis=0)
    inner = np.linalg.inv(within.T @ within + 1e-6 * np.eye(12))
    overall = np.linalg.inv((TRAINING - center).T @ (TRAINING - center) + 1e-6 * np.eye(12))
    far = OTHERS[0]
    relative = min((far - mean) @ inner @ (far - mean) for mean in means) - (far - center) @ overall @ (far - center)
    assert fit_relative(TRAINING, LABELS)(OTHERS)[0] == pytest.approx(relative)


def test_bad_input():
    with pytest.raises(ValueError, match="neighbours=201 must be from 1 to the 200"):
        fit_neighbours(TRAINING, 201)
    with pytest.raises(ValueError, match="directions=12 must be from 1 to 11"):
        fit_vim(TRAINING, WEIGHT, BIAS, 12)
    with pytest.raises(ValueError, match="pictures x 12"):
        fit_vim(TRAINING, WEIGHT[:, :3], BIAS, 4)
    with pytest.raises(ValueError, match="bias"):
        fit_vim(TRAINING, WEIGHT, BIAS[:2], 4)
    with pytest.raises(ValueError, match="have a label"):
        fit_relative(TRAINING, LABELS[:3])
    with pytest.raises(ValueError, match="NaN"):
        energy([[np.nan, 1.0]])
