"""Settings that take a few plain values: a command refuses others at once, the library when it is given them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .near import near
from .spec import VIEWS

AUTO = "auto"
FP32 = "fp32"  # the precision that is exported, and that the others are converted from and compared with
STEPS = (AUTO, "32", "bf16", "fp16")  # precisions of a training
PROFILES = ("u8", "u8-resize", "u8-matmul", "float")  # inputs of a bundle's network


def parse_views(wanted: object) -> tuple[str, ...]:
    """Return the views that a user names.

    Raises:
        ValueError: It is no list of different views.
    """
    if isinstance(wanted, str) or not isinstance(wanted, Sequence) or not wanted:
        given = "null" if wanted is None else wanted
        raise ValueError(f"views={given} is no list of views: write 'views=[identity]', or more of {', '.join(VIEWS)}")
    views = tuple(map(str, wanted))
    for place, name in enumerate(views):
        if name not in VIEWS:
            known = f"{', '.join(VIEWS)}; both is a half turn"
            raise ValueError(f"there is no view {name!r}{near(name, VIEWS)}: choose from {known}")
        if name in views[:place]:
            raise ValueError(f"views names {name} twice, and each costs a forward pass: name it once")
    return views


def parse_step_precision(precision: str | int) -> str:
    """Return the one of `STEPS` that the precision of a training names, in Lightning's spelling too.

    Raises:
        ValueError: There is none.
    """
    name = str(precision).removesuffix("-true").removesuffix("-mixed")
    name = {"16": "fp16"}.get(name, name)
    if name not in STEPS:
        raise ValueError(f"trainer.precision={precision} is unknown: choose one of {', '.join(STEPS)}")
    return name


def require_epochs(epochs: int | str | None, steps: int) -> None:
    """Refuse a training without an end, or with none of an epoch.

    Args:
        epochs: Number of epochs, `AUTO`, or None or -1 where the steps alone end it.
        steps: Number of optimiser steps, -1 where the epochs alone end it.

    Raises:
        ValueError: It is one.
    """
    if epochs in (None, -1) and steps == -1:  # the learning rate needs to know the end
        raise ValueError(f"trainer.max_epochs={epochs} has no end: give a number of epochs, or +trainer.max_steps=")
    if epochs not in (None, -1, AUTO) and (not isinstance(epochs, int) or epochs < 1):
        raise ValueError(f"trainer.max_epochs={epochs} is no number of epochs: give 1 or more, or {AUTO}")
    if steps != -1 and steps < 1:
        raise ValueError(f"trainer.max_steps={steps} is no number of steps: give 1 or more, or -1 for no end by steps")


def require_profile(profile: str) -> None:
    """Refuse a profile that there is not.

    Raises:
        ValueError: There is none of this name.
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}: choose one of {', '.join(PROFILES)}")


def require_precision(name: str, known: Iterable[str]) -> None:
    """Refuse a precision of an export that there is not.

    Raises:
        ValueError: It is not one of those that are known.
    """
    known = sorted(known, key=lambda each: (each != FP32, each))
    if name not in known:
        raise ValueError(f"unknown precision {name!r}: use precision={', '.join(known)}")
