"""The kinds of task that there are, by name."""

from __future__ import annotations

from typing import Any

from ..spec import TaskSpec
from .kind import Kind, Truth

KINDS: dict[str, Kind] = {}


def find_kind(name: str) -> Kind:
    """Return the kind of task of this name.

    Raises:
        ValueError: There is none.
    """
    if not isinstance(name, str) or name not in KINDS:  # a file may hold anything
        raise ValueError(f"unknown task kind {name!r}: choose one of {', '.join(KINDS)}")
    return KINDS[name]


def names_that_learn(truth: Truth) -> list[str]:
    """Return the names of the kinds that learn one `label`, several `labels` or a `value` an image."""
    return [kind.name for kind in KINDS.values() if kind.learns == truth]


def require_task(task: TaskSpec) -> TaskSpec:
    """Return a task that could be trained or decided.

    Raises:
        ValueError: Its kind is unknown, or as `Kind.require`.
    """
    find_kind(task.kind).require(task)
    return task


def read_task(values: dict[str, Any]) -> TaskSpec:
    """Read a task from a file, as `TaskSpec.to_dict` wrote it.

    Raises:
        ValueError: As `TaskSpec.from_dict` and `require_task`.
    """
    return require_task(TaskSpec.from_dict(values))
