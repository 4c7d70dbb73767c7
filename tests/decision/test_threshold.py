import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from src.decision import CannotPromise, certify_rejection, certify_threshold


def line(defects, goods, seed=0, digits=None):
    """Return scores of a line: good parts low, defects high, both over the whole range."""
    draw = np.random.default_rng(seed)
    scores = np.concatenate([draw.beta(5, 2, defects), draw.beta(2, 5, goods)])
    return scores if digits is None else scores.round(digits), np.arange(defects + goods) < defects


def test_the_threshold_by_hand():
    # 93 defects allow one escape at 5 %: the second lowest, 0.4, may not pass; below it comes a good part at 0.3
    scores = np.array([0.1, 0.4, *[0.9] * 91, 0.0, 0.2, 0.3, 0.5])
    is_defect = np.arange(97) < 93
    found = certify_threshold(scores, is_defect, 0.05, 0.95)
    assert found.threshold == np.float32(0.35) and found.threshold <= 0.35
    assert (found.defects, found.escapes, found.unit) == (93, 1, "image")
    assert found.upper_bound == pytest.approx(0.04999, abs=1e-5) and found.upper_bound <= 0.05


def test_the_rejection_by_hand():
    scores = 1 - np.array([0.1, 0.4, *[0.9] * 91, 0.0, 0.2, 0.3, 0.5])
    found = certify_rejection(scores, np.arange(97) >= 93, 0.05, 0.95)
    assert found.threshold == pytest.approx(0.65) and found.threshold >= 0.65
    assert (found.goods, found.overkills) == (93, 1) and found.upper_bound <= 0.05


def test_four_escapes_in_200():
    scores, is_defect = line(200, 300)
    found = certify_threshold(scores, is_defect, 0.0452, 0.95)
    assert found.escapes == 4 and found.upper_bound == pytest.approx(0.0452, abs=5e-5)
    found = certify_threshold(*line(181, 300), 0.05, 0.95)
    assert found.escapes == 4 and 0.0498 < found.upper_bound <= 0.05
    assert certify_threshold(*line(180, 300), 0.05, 0.95).escapes == 3


def test_a_bound_that_equals_the_rate_is_not_above_it():
    found = certify_threshold([0.9, 0.1], [1, 0], 0.9, 0.9)
    assert found.defects == 1 and found.upper_bound == 0.9
    assert certify_rejection([0.9, 0.1], [1, 0], 0.9, 0.9).upper_bound == 0.9
    with pytest.raises(CannotPromise) as refused:
        certify_threshold([0.9, 0.1], [1, 0], 1e-9, 0.95)
    assert refused.value.needed == pytest.approx(np.log(0.05) / np.log1p(-1e-9), abs=10)


@pytest.mark.parametrize("defects", [0, 1, 5, 58])
def test_too_few_defects_are_refused_with_the_number(defects):
    with pytest.raises(CannotPromise) as refused:
        certify_threshold(*line(defects, 300), 0.05, 0.95)
    assert refused.value.needed == 59
    assert pickle.loads(pickle.dumps(refused.value)).needed == 59


def test_the_sentence_of_refusal():
    with pytest.raises(ValueError) as refused:
        certify_threshold(*line(80, 300), 0.02, 0.95)
    assert str(refused.value) == (
        "0 escapes among 80 defects prove at most 3.7 % at 95 %; 2 % needs 149: 69 more, if none of them escapes"
    )
    with pytest.raises(
        CannotPromise, match=r"^0 overkills among 30 good parts prove at most 9.6 % at 95 %; 5 % needs "
    ):
        certify_rejection(*line(80, 30), 0.05, 0.95)
    with pytest.raises(
        CannotPromise, match=r"^0 defects prove nothing; 5 % at 95 % needs 59, if none of them escapes$"
    ):
        certify_threshold(*line(0, 30), 0.05, 0.95)
    groups = np.arange(160) // 8
    with pytest.raises(CannotPromise, match=r"^0 escapes among 10 groups with defects prove at most 26 % at 95 %; 20 "):
        certify_threshold(*line(80, 80), 0.2, 0.95, groups)


def test_a_group_escapes_if_one_of_its_defects_passes():
    scores, is_defect = line(400, 400, seed=1)
    groups = np.random.default_rng(0).permutation(800) // 8  # 100 lots of eight
    found = certify_threshold(scores, is_defect, 0.05, 0.95, [f"lot {group}" for group in groups])
    lots = np.unique(groups[is_defect])
    passing = np.unique(groups[is_defect & (scores < found.threshold)])
    assert (found.defects, found.escapes, found.unit) == (len(lots), len(passing), "group") and found.escapes == 1
    alone = certify_threshold(scores, is_defect, 0.05, 0.95)
    assert found.threshold < alone.threshold
    each = certify_threshold(scores, is_defect, 0.05, 0.95, np.arange(800))
    assert each.threshold == alone.threshold and each.escapes == alone.escapes


def test_ties_pass_together_or_not_at_all():
    scores = np.array([0.0] * 100 + [0.5] * 5 + [0.9] * 95 + [0.5] * 50 + [0.1] * 50)
    found = certify_threshold(scores, np.arange(300) >= 100, 0.05, 0.95)
    assert found.escapes == 0 and found.threshold == pytest.approx(0.05)  # 50 defects at 0.1 would be too many
    tied = certify_threshold(scores, (np.arange(300) >= 100) & (scores > 0.2), 0.05, 0.95)
    assert tied.escapes == 0 and tied.threshold == pytest.approx(0.3)


def test_neighbours_that_no_float32_parts():
    low, high = np.float32(0.5), np.nextafter(np.float32(0.5), np.float32(1))
    scores = np.array([low] * 70 + [high] * 70, dtype=np.float32)
    found = certify_threshold(scores, np.arange(140) >= 70, 0.05, 0.95)
    assert found.threshold == high and (scores < found.threshold).sum() == 70
    assert certify_rejection(scores, np.arange(140) >= 70, 0.05, 0.95).threshold == high
    scores = np.array([0.5] * 70 + [0.5 + 1e-12] * 70)  # then the safe side has them all
    assert certify_threshold(scores, np.arange(140) >= 70, 0.05, 0.95).threshold == 0.5
    assert certify_rejection(scores, np.arange(140) >= 70, 0.05, 0.95).threshold > 0.5 + 1e-12


def test_infinite_scores_are_certain():
    rest = np.linspace(0.1, 0.9, 81)
    scores = np.concatenate([np.full(100, np.inf), np.full(20, -np.inf), rest])
    found = certify_threshold(scores, np.arange(201) < 100, 0.05, 0.95)
    assert 0.9 < found.threshold < 0.9001 and found.escapes == 0
    found = certify_rejection(scores, np.arange(201) < 100, 0.05, 0.95)
    assert 0.85 < found.threshold < 0.9 and found.overkills == 1
    with pytest.raises(CannotPromise, match=r"^100 defects have an infinite score and pass below every threshold"):
        certify_threshold(-scores, np.arange(201) < 100, 0.05, 0.95)
    with pytest.raises(CannotPromise, match=r"are rejected from every threshold"):
        certify_rejection(scores, np.arange(201) >= 100, 0.05, 0.95)
    two = np.repeat([np.inf, -np.inf], 100)
    assert certify_threshold(two, two > 0, 0.05, 0.95).threshold == 0
    assert certify_rejection(two, two > 0, 0.05, 0.95).threshold == 0


GOOD, TRUTH = line(100, 100)


@pytest.mark.parametrize(
    ("scores", "is_defect", "options", "message"),
    [
        ([0.5] * 200, TRUTH, {}, "all 200 scores are equal"),
        (GOOD, np.ones(200, bool), {}, "every picture is a defect"),
        (np.where(np.arange(200) < 3, np.nan, GOOD), TRUTH, {}, "3 of 200 scores are NaN"),
        (GOOD * 1e39, TRUTH, {}, "float32"),
        (GOOD, TRUTH[:-1], {}, r"200 pictures, and is_defect has the shape \(199,\)"),
        (GOOD, TRUTH[:, None], {}, r"is_defect has the shape \(200, 1\)"),
        (GOOD, TRUTH * 2, {}, "true or false"),
        (GOOD, ["bad"] * 200, {}, "true or false"),
        (["high"] * 200, TRUTH, {}, "scores must be numbers"),
        ([[1, 2], [3]], TRUTH, {}, "scores must be numbers"),
        (GOOD.reshape(2, 100), TRUTH, {}, "must be a row"),
        ([], [], {}, "must be a row of at least one"),
        (GOOD, TRUTH, {"escape_rate": 0}, "escape_rate=0 must be above 0 and below 1"),
        (GOOD, TRUTH, {"escape_rate": 1e-300}, "escape_rate=1e-300 must"),
        (GOOD, TRUTH, {"escape_rate": 5}, "escape_rate=5 must"),
        (GOOD, TRUTH, {"escape_rate": np.nan}, "escape_rate=nan must"),
        (GOOD, TRUTH, {"escape_rate": "5 %"}, "escape_rate=5 % must"),
        (GOOD, TRUTH, {"escape_rate": True}, "escape_rate=True must"),
        (GOOD, TRUTH, {"confidence": 1.0}, "confidence=1.0 must"),
        (GOOD, TRUTH, {"confidence": 95}, "confidence=95 must"),
        (GOOD, TRUTH, {"groups": ["a"] * 200}, "of one group, which is one draw: it takes 59"),
        (GOOD, TRUTH, {"groups": ["a", "b"]}, "200 pictures, and 2 have a group"),
        (GOOD, TRUTH, {"groups": [["a"], ["b"]] * 100}, "a group must be a text or a number"),
        (GOOD, TRUTH, {"groups": 5}, "a group must be a text or a number"),
        (GOOD, TRUTH, {"groups": np.zeros((200, 2))}, "a group must be a text or a number"),
        (GOOD, TRUTH, {"groups": ["a", None] * 100}, "100 of 200 pictures have no group"),
        (GOOD, TRUTH, {"groups": [1.0, np.nan] * 100}, "100 of 200 pictures have no group"),
        (GOOD, np.zeros(200, bool), {"groups": np.arange(200)}, "0 groups with defects prove nothing"),
    ],
)
def test_bad_input_gets_an_error_and_never_a_number(scores, is_defect, options, message):
    with pytest.raises(ValueError, match=message):
        certify_threshold(scores, is_defect, **{"escape_rate": 0.05, "confidence": 0.95} | options)


def test_bad_input_of_the_mirror():
    with pytest.raises(ValueError, match=r"no picture is a defect"):
        certify_rejection(GOOD, np.zeros(200), 0.05, 0.95)
    with pytest.raises(ValueError, match=r"overkill_rate=1.5 must"):
        certify_rejection(GOOD, TRUTH, 1.5, 0.95)
    with pytest.raises(CannotPromise, match=r"0 good parts prove nothing"):
        certify_rejection(GOOD, np.ones(200), 0.05, 0.95)


any_line = st.tuples(
    st.integers(60, 220), st.integers(1, 120), st.integers(0, 2**31), st.sampled_from([None, 1, 2])
).map(lambda drawn: line(*drawn))


@settings(max_examples=60, deadline=None)
@given(any_line, st.randoms(use_true_random=False))
def test_the_order_of_the_pictures_has_no_say(drawn, random):
    scores, is_defect = drawn
    order = list(range(len(scores)))
    random.shuffle(order)
    assert certify_threshold(scores, is_defect, 0.05, 0.95) == certify_threshold(
        scores[order], is_defect[order], 0.05, 0.95
    )


@settings(max_examples=60, deadline=None)
@given(any_line)
def test_more_may_pass_only_where_less_is_promised(drawn):
    rates = [certify_threshold(*drawn, rate, 0.95).threshold for rate in (0.05, 0.07, 0.1, 0.3)]
    assert rates == sorted(rates)
    levels = [certify_threshold(*drawn, 0.05, level).threshold for level in (0.95, 0.9, 0.8, 0.5)]
    assert levels == sorted(levels)


@settings(max_examples=60, deadline=None)
@given(any_line)
def test_the_counts_are_those_of_the_threshold_as_it_is_written(drawn):
    scores, is_defect = drawn
    below = certify_threshold(scores, is_defect, 0.05, 0.95)
    assert below.threshold == np.float32(below.threshold)
    assert below.escapes == (scores[is_defect] < below.threshold).sum() and below.upper_bound <= 0.05
    # just above the next defect, one too many would pass
    allowed = max(k for k in range(20) if binom.cdf(k, is_defect.sum(), 0.05) <= 0.05)
    assert (scores[is_defect] <= scores[is_defect & (scores >= below.threshold)].min()).sum() > allowed
    mirrored = certify_rejection(-scores, ~is_defect, 0.05, 0.95)
    assert mirrored.threshold == pytest.approx(-below.threshold, rel=1e-6, abs=1e-9)
    assert (mirrored.goods, mirrored.overkills) == (below.defects, below.escapes)
