from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from src.decision import CannotPromise, DecisionSpec, certify_margin, measure_limits, tally, verdicts
from src.decision.margin import cuts
from src.spec import TaskSpec


def test_the_smallest_margin_by_hand():
    # 93 pictures allow one miss at 5 %: the second largest error
    predicted = np.arange(93.0)
    off = np.linspace(0.1, 1.0, 93)
    found = certify_margin(predicted + off * np.where(predicted % 2, 1, -1), predicted, 0.05, 0.95)
    assert (
        found.margin == pytest.approx(off[-2]) and found.margin >= off[-2] and found.margin == np.float32(found.margin)
    )
    assert (found.pictures, found.misses, found.unit) == (93, 1, "image") and found.upper_bound <= 0.05
    assert binom.cdf(1, 93, 0.05) <= 0.05


def test_groups_are_missed_once():
    draw = np.random.default_rng(0)
    predicted = draw.uniform(0, 1, 400)
    off, groups = draw.normal(0, 1, 400), np.arange(400) % 100
    found = certify_margin(predicted + off, predicted, 0.1, 0.95, groups)
    assert (found.pictures, found.unit) == (100, "group")
    assert found.misses == len(set(groups[np.abs(off) > found.margin]))


def test_refusals():
    draw = np.random.default_rng(0)
    with pytest.raises(
        CannotPromise, match=r"^0 misses among 40 pictures prove at most 7.3 % at 95 %; 5 % needs 59: 19"
    ):
        certify_margin(draw.random(40), draw.random(40), 0.05, 0.95)


@pytest.mark.parametrize(
    ("values", "predicted", "rate", "message"),
    [
        ([1.0, np.nan], [1, 2], 0.05, "1 of 2 values are NaN"),
        ([1, 2], [1, np.inf], 0.05, "predicted must be finite"),
        ([1, 2, 3], [1, 2], 0.05, "predicted"),
        ([1, 2], [5, 5], 0.05, "all 2 predictions are equal"),
        ([1, 2], [1, 2], 1.0, "miss_rate=1.0"),
    ],
)
def test_bad_input(values, predicted, rate, message):
    with pytest.raises(ValueError, match=message):
        certify_margin(values, predicted, rate, 0.95)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.floats(0, 1e5, width=32), st.floats(-3e6, 3e6, width=32))
def test_cuts_are_never_rounded_towards_the_promise(low, width, margin, value):
    below, inside, within, above = cuts((low, low + width), margin)
    value, q, lowest, highest = map(Fraction, (value, margin, low, low + width))
    if inside <= value <= within:
        assert value - q >= lowest and value + q <= highest
    if value < below:
        assert value + q < lowest
    if value > above:
        assert value - q > highest


def test_what_pictures_show_at_limits():
    draw = np.random.default_rng(0)
    values = draw.uniform(0, 10, 500)
    predicted = (values + draw.normal(0, 0.5, 500)).astype(np.float32)
    found = certify_margin(values, predicted, 0.05, 0.95)
    shown = measure_limits(values, predicted, found.margin, (2.0, 8.0), 0.95)
    outside = (values < 2) | (values > 8)
    spec = DecisionSpec(margin=found.margin, limits=(2.0, 8.0))
    given = verdicts(TaskSpec("regression", ("moisture",)), spec, predicted)
    counted = {"pass": shown.passed, "reject": shown.rejected, "review": shown.reviewed, "unknown": 0}
    assert counted == tally(given) and min(shown.passed, shown.rejected, shown.reviewed) > 50
    assert (shown.defects, shown.goods) == (outside.sum(), (~outside).sum())
    assert shown.escapes == (outside & (given == 0)).sum() <= found.misses
    one_side = measure_limits(values, predicted, found.margin, (None, 8.0), 0.95, np.arange(500) // 2)
    assert one_side.unit == "group" and one_side.defects == len(set(np.flatnonzero(values > 8) // 2))
    with pytest.raises(ValueError, match="limits must be"):
        measure_limits(values, predicted, 0.5, (8.0, 2.0), 0.95)


def test_a_side_without_a_limit():
    assert cuts((None, 2.0), 0.5) == (-np.inf, -np.inf, 1.5, 2.5)
    assert cuts((1.0, None), 0.0) == (1.0, 1.0, np.inf, np.inf)


@pytest.mark.parametrize("limits", [(None, None), (2.0, 1.0), (1.0, 1.0), (np.nan, 1.0), (0.0, np.inf)])
def test_limits_that_mean_nothing(limits):
    with pytest.raises(ValueError, match=r"limits must be"):
        cuts(limits, 0.5)
    with pytest.raises(ValueError, match=r"margin must be"):
        cuts((0.0, 1.0), -0.5)
