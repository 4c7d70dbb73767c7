import numpy as np
import pytest
from scipy.stats import binomtest

from src.decision import CannotPromise, certify_band, certify_rejection, certify_threshold, joint_confidence, measure
from tests.decision.test_threshold import line

NEAR = {"rel": 1e-9, "abs": 1e-9}


def test_both_promises_with_a_band_between():
    scores, is_defect = line(200, 300, seed=3)
    found = certify_band(scores, is_defect, 0.05, 0.95, 0.1)
    assert found.pass_below == certify_threshold(scores, is_defect, 0.05, 0.95).threshold
    assert found.reject_from == certify_rejection(scores, is_defect, 0.1, 0.95).threshold
    passes, rejects = scores < found.pass_below, scores >= found.reject_from
    assert (found.passed, found.rejected) == (passes.sum(), rejects.sum()) and found.reviewed > 0
    assert found.passed + found.rejected + found.reviewed == 500
    assert (found.defects, found.goods) == (200, 300) and found.goods_passed == (passes & ~is_defect).sum()
    assert (found.escapes, found.overkills) == ((passes & is_defect).sum(), (rejects & ~is_defect).sum())
    escape = binomtest(found.escapes, 200, alternative="less").proportion_ci(0.95).high
    overkill = binomtest(found.overkills, 300, alternative="less").proportion_ci(0.95).high
    assert found.escape_rate_upper_bound == pytest.approx(escape, **NEAR) and escape <= 0.05
    assert found.overkill_rate_upper_bound == pytest.approx(overkill, **NEAR) and overkill <= 0.1
    review = binomtest(found.reviewed, 500).proportion_ci(0.95)
    assert found.review_share == found.reviewed / 500
    assert found.review_share_interval == pytest.approx((review.low, review.high), **NEAR)


def test_without_an_overkill_rate_there_is_one_threshold():
    found = certify_band(*line(200, 300), 0.05, 0.95)
    assert found.pass_below == found.reject_from and found.reviewed == 0 and found.unit == "image"


def test_where_they_cross_both_are_the_lower_one():
    scores = np.concatenate([np.linspace(0.6, 0.9, 100), np.linspace(0.1, 0.4, 100)])
    is_defect = np.arange(200) < 100
    assert certify_rejection(scores, is_defect, 0.05, 0.95).threshold < 0.5
    found = certify_band(scores, is_defect, 0.05, 0.95, 0.05)
    assert found.pass_below == found.reject_from == certify_rejection(scores, is_defect, 0.05, 0.95).threshold
    assert (found.escapes, found.overkills, found.reviewed) == (0, 1, 0) and found.overkill_rate_upper_bound <= 0.05


def test_groups_are_counted_once():
    scores, is_defect = line(400, 400, seed=1)
    groups = np.arange(800) % 100
    found = certify_band(scores, is_defect, 0.1, 0.95, 0.1, groups)
    escaping = {*groups[is_defect & (scores < found.pass_below)].tolist()}
    assert (found.unit, found.defects, found.goods, found.escapes) == ("group", 100, 100, len(escaping))
    assert found.passed + found.rejected + found.reviewed == 800
    low, high = found.review_share_interval
    assert low < found.review_share < high and found == certify_band(scores, is_defect, 0.1, 0.95, 0.1, groups)
    alone = measure(scores, is_defect, found.pass_below, found.reject_from, 0.95)
    assert alone.review_share == found.review_share and alone.review_share_interval == pytest.approx(
        (low, high), abs=0.02
    )


def test_all_reviewed_groups_keep_an_interval():
    found = measure(*line(100, 100), 0.0, 1.5, 0.95, np.arange(200) % 20)
    assert found.review_share == 1 and found.review_share_interval == pytest.approx((0.025 ** (1 / 20), 1))
    assert measure(*line(100, 100), 0.0, 0.0, 0.95, np.arange(200) % 20).review_share_interval[0] == 0


def test_any_thresholds_can_be_measured():
    scores, is_defect = line(50, 50)
    found = measure(scores, is_defect, 0.5, 0.75, 0.9)
    assert found.escapes == (scores[is_defect] < 0.5).sum() and found.confidence == 0.9
    exact = binomtest(found.escapes, 50, alternative="less").proportion_ci(0.9).high
    assert found.escape_rate_upper_bound == pytest.approx(exact, **NEAR)
    only_good = measure(scores[50:], is_defect[50:], 0.5, 0.75, 0.9)
    assert only_good.defects == 0 and only_good.escape_rate_upper_bound == 1


def test_joint_confidence():
    assert joint_confidence(0.95) == 0.9 and joint_confidence(0.95, 1) == 0.95 and joint_confidence(0.4) == 0
    with pytest.raises(ValueError, match="confidence=95"):
        joint_confidence(95)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0.5, 0.25, "pass_below=0.5 must not lie above reject_from=0.25"),
        (np.nan, 0.5, "pass_below=nan must be a finite float32"),
        (0.5, np.inf, "reject_from=inf must be"),
        (0.1, 0.5, "pass_below=0.1 must be a finite float32"),
        ("low", 0.5, "pass_below=low must be"),
    ],
)
def test_thresholds_that_no_camera_could_follow(low, high, message):
    with pytest.raises(ValueError, match=message):
        measure(*line(50, 50), low, high, 0.95)


def test_the_second_promise_can_be_refused_too():
    with pytest.raises(CannotPromise, match="0 overkills among 40 good parts"):
        certify_band(*line(100, 40), 0.05, 0.95, 0.05)
