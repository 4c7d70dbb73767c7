import numpy as np
import pytest
from scipy.stats import binomtest

from src.decision import CannotPromise, certify_decided, propose_limits


def sure(count=1000, seed=0):
    draw = np.random.default_rng(seed)
    certainty = draw.uniform(0.4, 1, count).astype(np.float32)
    return certainty, draw.random(count) > 0.4 + 0.6 * certainty


def test_limits_are_quantiles_as_the_camera_holds_them():
    certainty, _ = sure(200)
    limits = propose_limits(certainty)
    assert len(limits) == 20 and limits[0] == certainty.min()
    assert [(certainty < limit).sum() for limit in limits] == list(range(0, 200, 10))
    assert propose_limits([0.1, 0.1, 0.1]) == (float(np.nextafter(np.float32(0.1), np.float32(0))),)
    assert propose_limits([0.5, 0.25], 1) == (0.25,)


def test_the_lowest_limit_that_is_proven_at_its_part_of_the_risk():
    certainty, wrong = sure()
    limits = propose_limits(sure(300, 1)[0])
    found = certify_decided(certainty, wrong, limits, 0.1, 0.95)
    bounds = [
        binomtest(int(wrong[certainty >= t].sum()), int((certainty >= t).sum()), alternative="less")
        .proportion_ci(1 - 0.05 / 20)
        .high
        for t in limits
    ]
    place = next(place for place, bound in enumerate(bounds) if bound <= 0.1)
    assert place > 0 and found.decide_from == limits[place]
    assert found.upper_bound == pytest.approx(bounds[place]) and found.limits == 20
    stands = certainty >= limits[place]
    assert (found.decided, found.errors) == (stands.sum(), (stands & wrong).sum())
    assert found.reviewed == (~stands).sum() and found.review_share == found.reviewed / 1000
    assert found.review_share_interval[0] < found.review_share < found.review_share_interval[1]


def test_groups_err_once():
    certainty, wrong = sure()
    groups = np.arange(1000) % 250
    found = certify_decided(certainty, wrong, propose_limits(sure(300, 1)[0]), 0.2, 0.95, groups)
    stands = certainty >= found.decide_from
    assert (found.unit, found.decided) == ("group", len(set(groups[stands])))
    assert found.errors == len(set(groups[stands & wrong]))


def test_refusals_give_the_number():
    with pytest.raises(
        CannotPromise, match=r"^0 errors among 5 decided pictures prove at most 70 % at 99.75 %; "
    ) as few:
        certify_decided(*sure(5), propose_limits(sure(300, 1)[0]), 0.05, 0.95)
    assert few.value.needed == 117
    certainty, wrong = sure()
    with pytest.raises(
        CannotPromise, match=r"none of 2 limits keeps errors to 1 %: at the best one 126 of 854 are wrong"
    ):
        certify_decided(certainty, wrong, [0.25, 0.5], 0.01, 0.95)
    with pytest.raises(CannotPromise, match=r"^0 errors among 117 decided pictures"):
        certify_decided(
            certainty, certainty < np.sort(certainty)[-117], [0.25, 0.5, np.sort(certainty)[-117]], 0.03, 0.95
        )
    with pytest.raises(CannotPromise, match=r"one group"):
        certify_decided(certainty, wrong, [0.5], 0.05, 0.95, np.zeros(1000))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([0.5, np.nan], [0, 1], [0.5], 0.05, 0.95), "1 of 2 certainties are NaN"),
        (([0.5, 0.6], [0, 1, 1], [0.5], 0.05, 0.95), "is_wrong"),
        (([0.5, 0.6], [0, 1], [], 0.05, 0.95), "no limits"),
        (([0.5, 0.6], [0, 1], [0.1], 0.05, 0.95), "limit=0.1 must be a finite float32"),
        (([0.5, 0.6], [0, 1], [0.5], 5, 0.95), "error_rate=5"),
        (([0.5, 0.6], [0, 1], [0.5], 0.05, 1), "confidence=1"),
        (([0.5, 0.5], [0, 1], [0.5], 0.05, 0.95), "equally certain"),
    ],
)
def test_bad_input(given, message):
    with pytest.raises(ValueError, match=message):
        certify_decided(*given)
    with pytest.raises(ValueError, match=r"count=0"):
        propose_limits([0.5], 0)
