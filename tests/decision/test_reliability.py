import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from src.decision import calibrated, class_figures, fit_temperature, label_figures, reliability
from tests.decision.test_calibration import drawn


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("bins", [5, 15])
def test_the_curve_is_that_of_scikit_learn(digits, bins):
    draw = np.random.default_rng(0)
    said = draw.random(400)
    said = said if digits is None else said.round(digits)
    seen = draw.random(400) < said**2
    found = reliability(said, seen, bins)
    share, mean = calibration_curve(seen, said, n_bins=bins, strategy="quantile")
    assert found.seen == pytest.approx(share) and found.said == pytest.approx(mean)
    assert found.pictures.sum() == 400 and (digits or set(found.pictures) <= {400 // bins, 400 // bins + 1})


def test_the_error_by_hand():
    found = reliability([0.2] * 10 + [0.8] * 30, [1] * 5 + [0] * 5 + [1] * 30)
    assert found.error == pytest.approx((10 * 0.3 + 30 * 0.2) / 40) and found.pictures.tolist() == [10, 30]


@pytest.mark.parametrize("classes", [2, 3])
def test_figures_are_those_of_scikit_learn(classes):
    logits, targets = drawn(2.0, 500, classes)
    table = softmax(logits, axis=1)
    found = class_figures(table, targets)
    reference = table[:, 1] if classes == 2 else table
    assert found.brier == pytest.approx(brier_score_loss(targets, reference))
    assert found.log_loss == pytest.approx(log_loss(targets, table))
    assert found.ece == reliability(table.max(axis=1), table.argmax(axis=1) == targets).error
    assert class_figures(table, targets, 1).ece == reliability(table[:, 1], targets == 1).error


def test_label_figures_are_the_mean_over_labels():
    draw = np.random.default_rng(0)
    table = draw.random((300, 2))
    truth = draw.random((300, 2)) < table
    found = label_figures(table, truth)
    pairs = list(zip(truth.T, table.T, strict=True))
    assert found.brier == pytest.approx(np.mean([brier_score_loss(*pair) for pair in pairs]))
    assert found.log_loss == pytest.approx(np.mean([log_loss(*pair) for pair in pairs]))
    assert found.ece == pytest.approx(np.mean([reliability(said, seen).error for seen, said in pairs]))


def test_the_temperature_mends_what_is_too_sure():
    logits, targets = drawn(3.0)
    before = class_figures(softmax(logits, axis=1), targets)
    after = class_figures(calibrated(logits, fit_temperature(*drawn(3.0, seed=1))), targets)
    assert before.ece > 0.1 and after.ece < 0.02 and after.brier < before.brier and after.log_loss < before.log_loss


def test_the_order_has_no_say():
    draw = np.random.default_rng(0)
    said = draw.random(100).round(1)
    seen, order = draw.random(100) < said, draw.permutation(100)
    assert reliability(said, seen).error == pytest.approx(reliability(said[order], seen[order]).error, abs=1e-12)


def test_bad_input():
    with pytest.raises(ValueError, match="from 0 to 1"):
        reliability([0.5, 1.5], [0, 1])
    with pytest.raises(ValueError, match="bins=0"):
        reliability([0.5], [0], 0)
    with pytest.raises(ValueError, match="1 of 2 probabilities are NaN"):
        reliability([0.5, np.nan], [0, 1])
    with pytest.raises(ValueError, match="are they logits"):
        class_figures([[2.0, -1.0]], [0])
    with pytest.raises(ValueError, match="of the shape"):
        label_figures([[0.5, 0.5]], [1])
    assert class_figures([[1.0, 0.0]], [1]).log_loss < 100  # certain and wrong is dear, not infinite
