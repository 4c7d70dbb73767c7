"""Of many draws of pictures from known lines, no more may break the promise than its risk allows."""

import numpy as np
import pytest
from scipy.stats import beta, norm

from src.decision import (
    CannotPromise,
    certify_band,
    certify_decided,
    certify_labels,
    certify_margin,
    certify_rejection,
    certify_threshold,
    propose_limits,
)

DRAWS = 2000
LEVEL = 0.95
MOST = 0.05 + 3 * np.sqrt(0.05 * 0.95 / DRAWS)
DEFECT, GOOD = beta(4, 2), beta(2, 4)


def drawn(promise, seed=0):
    """Return what `promise`, given random numbers, returns in each of many draws."""
    draw = np.random.default_rng(seed)
    return np.array([promise(draw) for _ in range(DRAWS)])


def pictures(draw, defects, goods, levels=None):
    scores = np.concatenate([draw.beta(4, 2, defects), draw.beta(2, 4, goods)])
    if levels:
        scores = np.floor(scores * levels) / levels
    return scores, np.arange(defects + goods) < defects


def below(line, threshold, levels=None):
    """Return how many parts of a line have a score below the threshold, in truth."""
    return line.cdf(threshold if levels is None else np.ceil(threshold * levels) / levels)


MORE = pytest.mark.slow


@pytest.mark.parametrize(
    ("defects", "goods", "rate", "levels"),
    [
        (153, 300, 0.05, None),
        (20, 100, 0.15, None),
        (153, 300, 0.05, 8),
        (20, 100, 0.2, 10),
        pytest.param(92, 200, 0.05, None, marks=MORE),
        pytest.param(59, 20, 0.05, None, marks=MORE),
        pytest.param(20, 10, 0.3, None, marks=MORE),
        pytest.param(400, 400, 0.02, None, marks=MORE),
        pytest.param(153, 300, 0.05, 50, marks=MORE),
        pytest.param(400, 400, 0.05, 3, marks=MORE),
    ],
)
def test_escapes_and_overkills(defects, goods, rate, levels):
    lower = drawn(lambda draw: certify_threshold(*pictures(draw, defects, goods, levels), rate, LEVEL).threshold)
    assert (below(DEFECT, lower, levels) > rate).mean() <= MOST
    upper = drawn(lambda draw: certify_rejection(*pictures(draw, goods, defects, levels), rate, LEVEL).threshold)
    assert (1 - below(GOOD, upper, levels) > rate).mean() <= MOST


def test_it_is_not_only_cautious():
    # the count of 181 leaves no slack; midway to the next score lowers it a little
    lower = drawn(lambda draw: certify_threshold(*pictures(draw, 181, 400), 0.05, LEVEL).threshold)
    assert 0.03 < (below(DEFECT, lower) > 0.05).mean() <= MOST


def test_both_promises_at_once():
    def thresholds(draw):
        found = certify_band(*pictures(draw, 120, 150), 0.05, LEVEL, 0.05)
        return found.pass_below, found.reject_from

    lower, upper = drawn(thresholds).T
    assert (lower <= upper).all()
    either = (below(DEFECT, lower) > 0.05) | (1 - below(GOOD, upper) > 0.05)
    assert either.mean() <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / DRAWS)


def test_promises_that_cross():
    def threshold(draw):
        scores = np.concatenate([draw.beta(40, 2, 100), draw.beta(2, 40, 100)])
        found = certify_band(scores, np.arange(200) < 100, 0.05, LEVEL, 0.05)
        assert found.pass_below == found.reject_from and found.reviewed == 0
        return found.pass_below

    assert (beta(40, 2).cdf(drawn(threshold)) > 0.05).mean() <= MOST


def test_scores_that_are_all_equal_promise_nothing():
    with pytest.raises(ValueError, match="all 400 scores are equal"):
        certify_threshold(np.full(400, 0.3), np.arange(400) < 200, 0.05, LEVEL)


def lots(draw, count):
    """Return scores, truth and group of lots of 1 to 6 pictures, defects of a lot being alike."""
    sizes = draw.integers(1, 7, count)
    groups = np.repeat(np.arange(count), sizes)
    shift, is_defect = draw.normal(0, 1, count)[groups], draw.random(len(groups)) < 0.5
    return shift + draw.normal(0, 0.3, len(groups)) + 1.5 * is_defect, is_defect, groups


def lot_extremes(seed=99, count=200_000):
    """Return for very many lots the lowest score of a defect and the highest of a good part, in rising order."""
    scores, is_defect, groups = lots(np.random.default_rng(seed), count)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, groups[is_defect], scores[is_defect])
    np.maximum.at(high, groups[~is_defect], scores[~is_defect])
    return np.sort(low[np.isfinite(low)]), np.sort(high[np.isfinite(high)])


def test_groups():
    lowest, highest = lot_extremes()

    def thresholds(draw):
        scores, is_defect, groups = lots(draw, 120)
        upper = certify_rejection(scores, is_defect, 0.05, LEVEL, groups)
        return certify_threshold(scores, is_defect, 0.05, LEVEL, groups).threshold, upper.threshold

    lower, upper = drawn(thresholds).T
    assert (np.searchsorted(lowest, lower) / len(lowest) > 0.05).mean() <= MOST
    assert (1 - np.searchsorted(highest, upper) / len(highest) > 0.05).mean() <= MOST


def test_one_group_promises_nothing():
    def threshold(draw):
        try:
            return certify_threshold(*pictures(draw, 50, 50), 0.5, LEVEL, ["lot 7"] * 100).threshold
        except CannotPromise:
            return np.nan

    assert np.isnan(drawn(threshold)).all()


def decisions(draw, count):
    """Return certainties and errors; the surest are wrong again more often, so that the risk is not monotone."""
    sure = draw.uniform(0.3, 1, count)
    chance = np.where(sure > 0.97, 0.06, np.clip(0.6 - 0.75 * sure, 0.01, 1))
    return sure, draw.random(count) < chance


def test_errors_among_the_decided():
    sure, wrong = decisions(np.random.default_rng(98), 400_000)
    limits = propose_limits(decisions(np.random.default_rng(97), 300)[0])
    true = np.array([wrong[sure >= limit].mean() for limit in limits])
    assert len(limits) == 20 and (np.diff(true) > 0).any() and 0.05 < true.max() and true.min() < 0.05

    def place(draw):
        try:
            return limits.index(certify_decided(*decisions(draw, 2000), limits, 0.05, LEVEL).decide_from)
        except CannotPromise:
            return -1

    places = drawn(place)
    assert (true[places[places >= 0]] > 0.05).sum() / DRAWS <= MOST and (places >= 0).mean() > 0.9


def defective(draw, count):
    """Return probabilities and presence of three labels that come together more often than by chance."""
    linked = draw.random((count, 1)) < 0.4
    present = draw.random((count, 3)) < np.where(linked, [0.7, 0.6, 0.5], [0.05, 0.1, 0.05])
    score = draw.random((count, 3))
    return np.where(present, score**0.3, 1 - score**0.3), present


def test_labels():
    probabilities, present = defective(np.random.default_rng(96), 200_000)
    best = np.sort(probabilities[~present.any(axis=1)].max(axis=1))

    def thresholds(draw):
        found = certify_labels(*defective(draw, 500), ("crack", "chip", "stain"), 0.05, LEVEL, 0.05)
        assert max(found.pass_below) <= found.reject_from
        return (*found.pass_below, found.reject_from)

    *lower, upper = drawn(thresholds).T
    missed = np.max(lower, axis=0) ** (1 / 0.3)  # the share of pictures with the label that lie below
    assert (missed > 0.05).mean() <= MOST
    assert (1 - np.searchsorted(best, upper) / len(best) > 0.05).mean() <= MOST


@pytest.mark.parametrize(("pictures", "rate"), [(20, 0.15), (200, 0.05)])
def test_margins(pictures, rate):
    def margin(draw):
        predicted = draw.uniform(0, 10, pictures)
        return certify_margin(predicted + draw.normal(0, 1, pictures), predicted, rate, LEVEL).margin

    assert (2 * norm.sf(drawn(margin)) > rate).mean() <= MOST
