"""From a network's outputs to verdicts, in the camera's own float32, with numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..kinds import find_kind
from ..spec import DecisionSpec, TaskSpec
from .inputs import as_scores, as_table
from .margin import by_limits

VERDICTS = ("pass", "reject", "review", "unknown")
PASS, REJECT, REVIEW, UNKNOWN = range(4)
ABOVE_ONE = 1e-4  # by which rounding may carry a probability beyond 0 or 1

Scores = NDArray[np.float32]
Verdicts = NDArray[np.int64]


def pass_classes(task: TaskSpec, named: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the classes that may pass, in the order of the task's.

    Args:
        task: What the outputs mean.
        named: The classes as the user names them; none takes every class but the positive one.

    Raises:
        ValueError: A name is no class, every class would pass, or none is named where it takes names.
    """
    known = ", ".join(task.classes)
    if unknown := [name for name in named if name not in task.classes]:
        raise ValueError(f"{', '.join(map(repr, unknown))} in pass_classes are no classes: choose from {known}")
    if not named and task.positive is None:
        raise ValueError(f"name the classes that may pass, pass_classes=[...], of {known}")
    chosen = tuple(name for name in task.classes if (name in named if named else name != task.positive))
    if len(chosen) == len(task.classes):
        raise ValueError("every class is in pass_classes, and nothing would be left to reject: leave the defects out")
    return chosen


def defect_scores(probabilities: ArrayLike, classes: Sequence[str], passing: Sequence[str]) -> Scores:
    """Return each picture's probability of not being in a pass class, N.

    The other classes' probabilities are added one after the other, in their order, in float32: the same bits wherever
    it is done so, and no small probability lost beside a large one.

    Args:
        probabilities: Pictures x classes.
        classes: Names of the columns.
        passing: The classes that may pass.

    Raises:
        ValueError: Probabilities are NaN, out of range or of another shape.
    """
    values = _probabilities(probabilities, len(classes))
    total = np.zeros(len(values), dtype=np.float32)
    for column, name in enumerate(classes):
        if name not in passing:
            total += values[:, column]
    return total


def certainties(probabilities: ArrayLike) -> Scores:
    """Return the probability of each picture's decided class, N.

    Raises:
        ValueError: Probabilities are NaN or out of range.
    """
    most: Scores = _probabilities(probabilities, None).max(axis=1)
    return most


def verdicts(
    task: TaskSpec, decision: DecisionSpec, outputs: ArrayLike, strangeness: ArrayLike | None = None
) -> Verdicts:
    """Return what is done with each picture: the place of the word in `VERDICTS`, N.

    A strange picture loses its pass and nothing else: what is rejected or reviewed stays so.

    Args:
        task: What the outputs mean.
        decision: What they are decided by.
        outputs: Probabilities, pictures x classes; or the values, N or N x 1.
        strangeness: How unlike the training's each picture is, N; needed where the decision has a threshold for it.

    Raises:
        ValueError: Nothing decides, the decision is for another task, or outputs are NaN or of another shape.
    """
    if not decision.decides:
        raise ValueError("this decision has no thresholds yet: certify or choose them first")
    kind, scored = find_kind(task.kind), decision.margin is None
    if (kind.has_classes, kind.is_exclusive) != (scored, scored and not decision.labels):
        raise ValueError(f"the decision is not for a task of {task.kind}: it was made for another bundle")
    found = _by_margin(decision, outputs) if decision.margin is not None else _by_scores(task, decision, outputs)
    if decision.strange_above is None:
        return found
    if strangeness is None:
        raise ValueError("this decision asks how strange each picture is: give strangeness")
    strange = as_scores(strangeness, "strangeness").astype(np.float32)
    if len(strange) != len(found):
        raise ValueError(f"there are {len(found)} pictures and {len(strange)} values of strangeness")
    return np.where((found == PASS) & (strange > np.float32(decision.strange_above)), UNKNOWN, found)


def words(found: Verdicts) -> list[str]:
    """Return the verdicts as they are said."""
    return [VERDICTS[verdict] for verdict in found]


def tally(found: Verdicts) -> dict[str, int]:
    """Return how many pictures had each verdict, by word."""
    return dict(zip(VERDICTS, np.bincount(found, minlength=len(VERDICTS)).tolist(), strict=True))


def _by_scores(task: TaskSpec, decision: DecisionSpec, outputs: ArrayLike) -> Verdicts:
    if decision.decide_from is not None:
        stands = _probabilities(outputs, len(task.classes)).max(axis=1) >= np.float32(decision.decide_from)
        return np.where(stands, PASS, REVIEW)
    if missing := sorted({*decision.pass_classes, *decision.labels} - set(task.classes)):
        raise ValueError(f"the decision names {', '.join(map(repr, missing))}, which the task has not")
    if decision.labels:
        columns = [task.classes.index(name) for name in decision.labels]
        scores = _probabilities(outputs, len(task.classes))[:, columns]
    else:
        scores = defect_scores(outputs, task.classes, decision.pass_classes)[:, None]
    passes = (scores < np.array(decision.pass_below, dtype=np.float32)).all(axis=1)
    rejects = (scores >= np.array(decision.reject_from, dtype=np.float32)).any(axis=1)
    return np.select([passes, rejects], [PASS, REJECT], REVIEW).astype(np.int64)


def _by_margin(decision: DecisionSpec, outputs: ArrayLike) -> Verdicts:
    assert decision.margin is not None and len(decision.limits) == 2
    values = as_table(np.reshape(outputs, (-1, 1)), 1, "values").astype(np.float32)[:, 0]
    passes, rejects = by_limits(values, (decision.limits[0], decision.limits[1]), decision.margin)
    return np.select([passes, rejects], [PASS, REJECT], REVIEW).astype(np.int64)


def _probabilities(values: ArrayLike, columns: int | None) -> Scores:
    table = as_table(values, columns)
    if table.min() < -ABOVE_ONE or table.max() > 1 + ABOVE_ONE:
        raise ValueError(f"probabilities lie from 0 to 1, not {table.min():.3g} to {table.max():.3g}: are they logits?")
    return table.astype(np.float32)
