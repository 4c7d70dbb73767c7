"""What k failures among n independent draws prove, exactly (Clopper and Pearson, Biometrika 26, 1934, 404).

SciPy is imported where it is used: the camera applies decisions without it.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

NEAR = 1e-9  # nearer than this, relative to the risk, floats do not say on which side a probability lies
LONGEST = 20_000  # draws up to which such a case is settled in whole numbers; above it counts as not proven


@lru_cache(maxsize=4096)
def exact(value: float) -> Fraction:
    """Return a rate as the decimal that was written: 0.95 is 19/20, where the float is a little less."""
    return Fraction(repr(float(value)))


@lru_cache(maxsize=4096)
def risk_of(confidence: float, tests: int = 1) -> Fraction:
    """Return the probability of a wrong promise that each of `tests` tests may spend (Bonferroni)."""
    return (1 - exact(confidence)) / tests


@lru_cache(maxsize=4096)
def proves(failures: int, draws: int, rate: Fraction, risk: Fraction) -> bool:
    """Say whether the counts prove that the true rate is at most `rate`.

    They do where so few failures have a probability of at most `risk` under that rate, which is the same as that the
    one-sided upper bound of Clopper and Pearson at 1 - risk is at most `rate`.
    """
    from scipy.special import betaincc

    if failures >= draws:
        return False
    chance = float(betaincc(failures + 1, draws - failures, float(rate)))
    if abs(chance - float(risk)) > NEAR * float(risk):
        return chance < float(risk)
    return draws <= LONGEST and _chance(failures, draws, rate) <= risk


def _chance(failures: int, draws: int, rate: Fraction) -> Fraction:
    bad, good, whole = rate.numerator, rate.denominator - rate.numerator, rate.denominator
    ways = sum(math.comb(draws, k) * bad**k * good ** (draws - k) for k in range(failures + 1))
    return Fraction(ways, whole**draws)


@lru_cache(maxsize=4096)
def allowed(draws: int, rate: Fraction, risk: Fraction) -> int | None:
    """Return the most failures among `draws` that still prove `rate`; None where even 0 do not."""
    if not proves(0, draws, rate, risk):
        return None
    low, high = 0, draws  # `low` proves it, `high` does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if proves(middle, draws, rate, risk) else (low, middle)
    return low


@lru_cache(maxsize=4096)
def needed(rate: Fraction, risk: Fraction) -> int:
    """Return the fewest draws that prove `rate` without a failure: 59 for 5 % at a risk of 5 %."""
    draws = max(1, math.ceil(math.log(risk) / math.log1p(-float(rate))) - 1)
    while not proves(0, draws, rate, risk):
        draws += 1
    return draws


@lru_cache(maxsize=4096)
def upper_bound(failures: int, draws: int, risk: Fraction) -> float:
    """Return the one-sided upper bound of the rate at confidence 1 - risk, never rounded down; 1.0 without draws."""
    from scipy.special import betainccinv

    if failures >= draws:
        return 1.0
    bound = float(betainccinv(failures + 1, draws - failures, float(risk)))
    return min(1.0, bound * (1 + 1e-12))


def interval(successes: int, draws: int, risk: Fraction) -> tuple[float, float]:
    """Return the two-sided interval of a share at confidence 1 - risk; (0, 1) without draws."""
    if not draws:
        return 0.0, 1.0
    return 1 - upper_bound(draws - successes, draws, risk / 2), upper_bound(successes, draws, risk / 2)
