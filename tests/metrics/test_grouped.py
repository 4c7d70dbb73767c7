"""Intervals of images that come in groups: groups are drawn, since their images are alike."""

import numpy as np
import pytest
from scipy.stats import binomtest

from src.kinds import Decided
from src.metrics import intervals, units

GROUPS, EACH = 20, 10
NAMES = [f"module{number // EACH}" for number in range(GROUPS * EACH)]


def rows(right):
    truth = np.tile([0, 1], len(right) // 2)
    decided = np.where(right, truth, 1 - truth)
    return Decided("classification", ("bad", "good"), np.eye(2)[decided], truth, decided)


def width(ends):
    return ends[1] - ends[0]


def test_an_interval_over_groups_is_that_of_their_means():
    right = np.repeat(np.arange(GROUPS) % 4 != 0, EACH)  # a group is right or wrong as a whole: 15 of 20
    alone, grouped = (intervals(rows(right), None, 4000, groups=each)["accuracy"] for each in (None, NAMES))
    assert width(alone) == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 200), rel=0.1)
    assert width(grouped) == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / GROUPS), rel=0.1)


def test_images_without_a_group_are_drawn_as_before():
    right = np.arange(200) % 5 != 0
    assert intervals(rows(right), None, groups=[None] * 200) == intervals(rows(right), None)
    assert units(["a", None, "a", None]).tolist() == [0, 1, 0, 2]


def test_no_mistake_among_groups_proves_as_much_as_so_many_groups():
    right = np.ones(GROUPS * EACH, bool)
    exact = binomtest(GROUPS, GROUPS).proportion_ci(0.95, "exact")
    assert intervals(rows(right), None, groups=NAMES)["accuracy"] == pytest.approx((exact.low, 1.0))
