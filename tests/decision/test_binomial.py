from fractions import Fraction

import pytest
from scipy.stats import binom, binomtest

from src.decision.binomial import allowed, exact, interval, needed, proves, risk_of, upper_bound
from src.decision.promise import percent, percent_above, percent_below

RISK = risk_of(0.95)


@pytest.mark.parametrize(("rate", "defects"), [(0.05, 59), (0.02, 149), (0.01, 299), (0.005, 598)])
def test_defects_needed_without_an_escape(rate, defects):
    assert needed(exact(rate), RISK) == defects
    assert proves(0, defects, exact(rate), RISK) and not proves(0, defects - 1, exact(rate), RISK)


def test_four_escapes():
    assert round(100 * upper_bound(4, 200, RISK), 2) == 4.52
    assert proves(4, 181, exact(0.05), RISK) and not proves(4, 180, exact(0.05), RISK)
    assert percent_above(upper_bound(4, 181, RISK)) == "5 %"


@pytest.mark.parametrize("failures", [0, 1, 7, 40])
def test_bounds_are_those_of_scipy(failures):
    test = binomtest(failures, 50, alternative="less").proportion_ci(0.95)
    assert upper_bound(failures, 50, RISK) == pytest.approx(test.high, rel=1e-9) and upper_bound(50, 50, RISK) == 1
    both = binomtest(failures, 50).proportion_ci(0.95)
    assert interval(failures, 50, RISK) == pytest.approx((both.low, both.high), abs=1e-9)
    assert interval(0, 0, RISK) == (0, 1) and upper_bound(0, 0, RISK) == 1


@pytest.mark.parametrize("draws", [1, 58, 59, 60, 92, 93, 153, 1000, 123_456])
def test_allowed_is_the_largest_count_that_proves(draws):
    most = allowed(draws, exact(0.05), RISK)
    if most is None:
        assert binom.cdf(0, draws, 0.05) > 0.05
    else:
        assert binom.cdf(most, draws, 0.05) <= 0.05 < binom.cdf(most + 1, draws, 0.05)


def test_a_probability_that_equals_the_risk_is_settled_in_whole_numbers():
    # 0.1 + 0.2 and 1 - 0.9 are not what they say as floats; the chance of no failure is 0.1 exactly, or 1/4
    assert proves(0, 1, exact(0.9), risk_of(0.9)) and needed(exact(0.9), risk_of(0.9)) == 1
    assert proves(0, 2, exact(0.5), risk_of(0.75)) and not proves(0, 2, exact(0.4999999999999), risk_of(0.75))
    assert not proves(0, 2, exact(0.5), risk_of(0.7500000000000001))
    assert allowed(2, exact(0.5), risk_of(0.75)) == 0
    # where floats cannot tell and whole numbers would take long, nothing is proven
    draws, rate = 30_000, exact(0.001)
    assert not proves(0, draws, rate, (1 - rate) ** draws)


def test_risks_are_shared_exactly():
    assert risk_of(0.95) == Fraction(1, 20) and risk_of(0.95, 20) == Fraction(1, 400)
    assert needed(exact(0.05), risk_of(0.95, 20)) == 117


def test_percentages_are_never_rounded_to_the_good_side():
    assert percent(0.005) == "0.5 %" and percent(0.07) == "7 %" and percent(risk_of(0.9)) == "10 %"
    assert percent_above(0.03675) == "3.7 %" and percent_above(0.0361) == "3.7 %" and percent_above(0.05) == "5 %"
    assert percent_below(1 - risk_of(0.1, 60)) == "98.5 %" and percent_below(Fraction(59, 60)) == "98.33 %"
    assert percent_below(Fraction(99999999, 100000000)) == "99.99 %" and percent_below(Fraction(19, 20)) == "95 %"
    assert percent_above(0.301) == "31 %" and percent_above(0.0010001) == "0.11 %" and percent_above(1.0) == "100 %"
