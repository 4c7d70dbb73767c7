import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from src.decision import calibrated, fit_label_temperatures, fit_temperature


def drawn(temperature, count=20_000, classes=4, seed=0):
    """Return logits that are too sure by a factor, and classes that came of them without it."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (count, classes))
    chance = softmax(logits, axis=1).cumsum(axis=1)
    return logits * temperature, (draw.random((count, 1)) > chance).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_comes_out(temperature):
    logits, targets = drawn(temperature)
    assert fit_temperature(logits, targets)[0] == pytest.approx(temperature, rel=0.03)


def test_it_is_the_slope_of_a_logistic_regression():
    draw = np.random.default_rng(0)
    score = draw.normal(0, 3, 2000)
    truth = draw.random(2000) < expit(0.4 * score)
    reference = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(score[:, None], truth)
    slope = pytest.approx(1 / reference.coef_[0, 0], rel=1e-4)
    assert fit_temperature(np.c_[np.zeros(2000), score], truth.astype(int))[0] == slope
    assert fit_label_temperatures(score[:, None], truth[:, None])[0] == slope


def test_labels_have_a_temperature_each():
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (20_000, 3))
    truth = draw.random((20_000, 3)) < expit(logits)
    found = fit_label_temperatures(logits * (0.5, 1, 2), truth)
    assert found == pytest.approx((0.5, 1, 2), rel=0.05)


def test_it_stays_within_its_bounds():
    logits = np.array([[3.0, 0.0], [0.0, 3.0]])
    assert fit_temperature(logits, [0, 1]) == (np.float32(0.1),)
    assert fit_temperature(logits, [1, 0]) == (20,)
    assert fit_temperature(np.zeros((4, 2)), [0, 1, 0, 1])[0] > 0


def test_probabilities_are_those_of_scipy_and_keep_the_decision():
    logits, _ = drawn(3.0, 500)
    found = calibrated(logits, (3.0,))
    assert found.dtype == np.float32 and found == pytest.approx(softmax(logits / 3, axis=1), abs=1e-6)
    assert (found.argmax(axis=1) == logits.argmax(axis=1)).all()
    labels = calibrated(logits, (1.0, 2.0, 3.0, 4.0), multilabel=True)
    assert labels == pytest.approx(expit(logits / (1, 2, 3, 4)), abs=1e-6)
    assert calibrated(logits, ()) == pytest.approx(softmax(logits, axis=1), abs=1e-6)
    assert calibrated([[200.0, -200.0]], (0.05,)).tolist() == [[1, 0]]
    assert calibrated([[-200.0]], (0.05,), multilabel=True).tolist() == [[0]]


@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        ([[np.nan, 0]], [0], "NaN"),
        ([[1.0, 0]], [2], "from 0 to 1, not 2 to 2"),
        ([[1.0, 0]], [0, 1], "targets"),
        ([[1.0, 0]], ["bad"], "whole numbers"),
        ([1.0, 0], [0], "pictures x columns"),
    ],
)
def test_bad_input(logits, targets, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(logits, targets)


def test_bad_input_of_labels():
    with pytest.raises(ValueError, match="of the shape of the logits"):
        fit_label_temperatures([[1.0, 0]], [1])
    with pytest.raises(ValueError, match="2 temperatures for 3 columns"):
        calibrated([[1.0, 0, 0]], (1.0, 2.0), multilabel=True)
    with pytest.raises(ValueError, match="3 temperatures for 3 columns"):
        calibrated([[1.0, 0, 0]], (1.0, 2.0, 3.0))
