"""The verdicts of a file, and those that numpy makes of its outputs: they must be the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..decision import verdicts
from ..kinds import find_kind
from ..spec import DecisionSpec, TaskSpec
from .session import VERDICT, Named


def decided_by(outputs: Named, task: TaskSpec) -> NDArray[Any]:
    """Return the outputs of a file that its verdicts are made of: the probabilities, or the values."""
    return outputs["probabilities" if find_kind(task.kind).has_classes else "decision"]


def require_verdicts(outputs: Named, task: TaskSpec, decision: DecisionSpec) -> None:
    """Refuse a file whose verdicts are others than those that numpy makes of its own outputs.

    Args:
        outputs: What the file gave, by name.
        task: What it means.
        decision: What the verdicts should be made by.

    Raises:
        ValueError: A verdict is another one, or the decision is not for this task.
    """
    expected, found = verdicts(task, decision, decided_by(outputs, task)), outputs[VERDICT]
    if found.dtype != np.int64 or not np.array_equal(found, expected):
        raise ValueError(
            "the verdicts of the file are not those of its decision: certify it again, or copy the bundle again"
        )
