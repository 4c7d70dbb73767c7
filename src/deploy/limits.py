"""What a bundle may differ from its model before it is refused."""

from __future__ import annotations

from dataclasses import dataclass

from ..decision import percent, percent_at_most
from .paired import Paired, best_bound, draws_needed

_NONE = 1e-12  # an accuracy that fell by nothing, in floating point


@dataclass(frozen=True)
class Limits:
    """What the gate allows.

    Attributes:
        relative_logit_diff: Largest difference of a logit, as a part of the largest logit; None for any.
        changed_decisions: Part of the pictures that may get another class, 0 to 1; None for any.
        accuracy_drop: What the accuracy may fall by, 0 to 1, and the recall of what must not pass.
        drop_bound: What either may have fallen by at most, at 95 %; None for anything.
    """

    relative_logit_diff: float | None = 1e-4
    changed_decisions: float | None = 0.0
    accuracy_drop: float = 0.0
    drop_bound: float | None = None

    def broken(
        self,
        diff: float,
        scale: float,
        changed: int,
        images: int,
        drop: float,
        lost: float = 0.0,
        score: str = "accuracy",
    ) -> list[str]:
        """Return what is not kept, each in a few words.

        Args:
            diff: Largest difference of any logit; one that is not finite is never allowed.
            scale: Largest absolute logit of the model.
            changed: Pictures with another class.
            images: Number of pictures.
            drop: What the accuracy fell by, or R2 of values.
            lost: What `src.deploy.decisions.recall` fell by: on rare defects, accuracy hardly tells.
            score: What `drop` is of, in words.
        """
        found = []
        allowed = float("inf") if self.relative_logit_diff is None else self.relative_logit_diff * scale
        if not (diff <= allowed and diff < float("inf")):
            found.append(f"max |d logit| {diff:.2e}, {allowed:.2e} allowed")
        if self.changed_decisions is not None and changed > self.changed_decisions * images:
            found.append(f"{changed} changed decisions, {int(self.changed_decisions * images)} allowed")
        if not drop <= self.accuracy_drop + _NONE:
            found.append(f"{score} fell by {drop:.4f}, {self.accuracy_drop:.4f} allowed")
        if not lost <= self.accuracy_drop + _NONE:
            found.append(f"recall fell by {lost:.4f}, {self.accuracy_drop:.4f} allowed")
        return found

    def unproven(self, paired: Paired, score: str) -> list[str]:
        """Return that a share of right decisions may have fallen by more than `drop_bound`, in a few words."""
        if self.drop_bound is None or paired.drop_bound <= self.drop_bound:
            return []
        counts = f"{paired.worse} of {paired.draws} got worse, {paired.better} better"
        bound, allowed = percent_at_most(paired.drop_bound), percent(self.drop_bound)
        return [f"{score} may have fallen by up to {bound} (95 %: {counts}), {allowed} allowed"]

    def why_too_few(self, draws: int) -> str | None:
        """Return why so many images, or groups of them, could not let a file pass, whatever it decides; else None."""
        if self.drop_bound is None or draws >= draws_needed(self.drop_bound):
            return None
        least, enough = percent_at_most(best_bound(draws)), draws_needed(self.drop_bound)
        return (
            f"{draws} of the validation images accept (the others choose; a group is one); even without a change they "
            f"cannot prove less than a drop of {least} at 95 %, max_accuracy_drop_bound={self.drop_bound:g} allowed: "
            f"that takes {enough}, of {2 * enough} validation images; or ship precision=fp32, or allow more"
        )


@dataclass(frozen=True)
class Budget:
    """What a precision that costs accuracy may cost, and what it must bring.

    Attributes:
        max_accuracy_drop: What the accuracy may fall by, 0 to 1.
        min_speedup: Time of the fp32 file over that of the other file, at least.
        max_accuracy_drop_bound: What the accuracy may have fallen by at most, at 95 %, above 0 to 1.

    Raises:
        ValueError: A value is out of range.
    """

    max_accuracy_drop: float = 0.005
    min_speedup: float = 1.2
    max_accuracy_drop_bound: float = 0.03

    def __post_init__(self) -> None:
        """Refuse a budget that means nothing."""
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name} must be a number, not {value!r}")
        if not 0 <= self.max_accuracy_drop < 1:
            raise ValueError(f"max_accuracy_drop must be from 0 to 1, such as 0.005, not {self.max_accuracy_drop}")
        if not 0 < self.max_accuracy_drop_bound <= 1:
            raise ValueError(
                f"max_accuracy_drop_bound must be above 0 to 1, such as 0.03, not {self.max_accuracy_drop_bound}"
            )
        if not self.min_speedup >= 0:
            raise ValueError(f"min_speedup must be a number from 0, such as 1.2, not {self.min_speedup}")


LOOSE = Limits(0.02, 0.005, 0.005)  # of what moves by more than rounding
