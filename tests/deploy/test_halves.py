"""What chooses and what accepts: no image in both, each truth by its share, no unit parted."""

from collections import Counter

import pytest

from src.deploy.halves import halve
from src.spec import TaskSpec

CLASSES, VALUE = TaskSpec("classification", ("bad", "good"), "bad"), TaskSpec("regression", ("sugar",))


def test_each_half_has_its_share_of_every_class():
    truths = ["bad"] * 31 + ["good"] * 116
    halves = halve(truths, CLASSES)
    assert sorted(halves.choosing + halves.accepting) == list(range(147))
    assert len(halves.choosing) == 73 and len(halves.accepting) == 74
    counts = [Counter(truths[position] for position in half) for half in (halves.choosing, halves.accepting)]
    assert abs(counts[0]["bad"] - counts[1]["bad"]) == 1 and abs(counts[0]["good"] - counts[1]["good"]) == 0
    assert halve(truths, CLASSES) == halves and halves.choosing != tuple(range(73))


def test_a_unit_is_never_parted():
    units = [number // 5 for number in range(100)]
    halves = halve(["bad" if unit < 6 else "good" for unit in units], CLASSES, units)
    assert not {units[position] for position in halves.choosing} & {units[position] for position in halves.accepting}
    assert len(halves.choosing) == len(halves.accepting) == 50


def test_values_are_spread_over_both_halves():
    halves = halve([str(value) for value in range(40)], VALUE)
    sums = [sum(half) / len(half) for half in (halves.choosing, halves.accepting)]
    assert len(halves.choosing) == len(halves.accepting) == 20 and abs(sums[0] - sums[1]) < 4


def test_one_group_cannot_choose_and_accept():
    with pytest.raises(ValueError, match="all of them are of one group: add images of another, or use precision=fp32"):
        halve(["bad", "good"], CLASSES, [7, 7])
