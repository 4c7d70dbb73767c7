"""What is said where the data cannot prove what was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from .binomial import needed, upper_bound


class CannotPromise(ValueError):
    """The data is too little for the promise that was asked for.

    Attributes:
        needed: Draws (defects, good parts, pictures, or groups of them) that would do without a failure.
    """

    def __init__(self, message: str, needed: int) -> None:
        """Keep the sentence and the number."""
        super().__init__(message)
        self.needed = needed

    def __reduce__(self) -> tuple[type[CannotPromise], tuple[str, int]]:
        """Let it cross from a worker process."""
        return type(self), (str(self), self.needed)


@dataclass(frozen=True)
class Wording:
    """How a test is told: what may not happen, to what, and what it is when none of it happens."""

    failures: str
    draws: str
    none: str

    def of_groups(self) -> Wording:
        """Return the wording for a test whose draws are groups."""
        return Wording(self.failures, f"groups with {self.draws}", self.none)


ESCAPES = Wording("escapes", "defects", "none of them escapes")
OVERKILLS = Wording("overkills", "good parts", "none of them is rejected")
ERRORS = Wording("errors", "decided pictures", "none of them is wrong")
MISSES = Wording("misses", "pictures", "none of them is off by more")


def percent(rate: float | Fraction) -> str:
    """Return a rate as it was asked for: 0.005 as `0.5 %`."""
    return f"{float(100 * rate):.10g} %"


def percent_above(bound: float) -> str:
    """Return a bound in percent, rounded up to two digits: 0.0367 as `3.7 %`."""
    if not 0 < bound < 1:
        return percent(bound)
    digits = 1 - math.floor(math.log10(bound * 100))
    return f"{math.ceil(bound * 100 * 10**digits * (1 - 1e-12)) / 10**digits:.10g} %"


def percent_at_most(bound: float) -> str:
    """Return a bound in percent, rounded up to two decimals: 0.0101036 as `1.02 %`."""
    return f"{math.ceil(bound * 10_000 * (1 - 1e-12)) / 100:.2f} %"


def percent_below(confidence: Fraction) -> str:
    """Return a confidence in percent, rounded down to two decimals: 59/60 as `98.33 %`."""
    return f"{math.floor(10_000 * confidence) / 100:.10g} %"


def refusal(draws: int, rate: Fraction, risk: Fraction, wording: Wording) -> CannotPromise:
    """Return the error that says what the draws prove at best, what is needed, and how many that is more.

    Args:
        draws: Units that there are.
        rate: What was asked for.
        risk: The probability of a wrong promise that the test may spend.
        wording: What is tested.
    """
    enough, confidence = needed(rate, risk), percent_below(1 - risk)
    if not draws:
        wanted = f"{percent(rate)} at {confidence} needs {enough}, if {wording.none}"
        return CannotPromise(f"0 {wording.draws} prove nothing; {wanted}", enough)
    bound = percent_above(upper_bound(0, draws, risk))
    proven = f"0 {wording.failures} among {draws} {wording.draws} prove at most {bound} at {confidence}"
    return CannotPromise(f"{proven}; {percent(rate)} needs {enough}: {enough - draws} more, if {wording.none}", enough)
