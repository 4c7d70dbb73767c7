"""Notes on a module, kept in the module itself, so that copies and pickles hold them too.

All other attributes belong to the author of the module: notes have a prefix that nobody else uses.
"""

from __future__ import annotations

from typing import Any

from torch import nn

PREFIX = "_graft_"


def note(module: nn.Module, key: str, value: Any) -> None:
    """Remember `value` of `module` under `key`."""
    module.__dict__[PREFIX + key] = value


def noted(module: nn.Module, key: str) -> Any:
    """Return what is remembered of `module` under `key`, or None."""
    return module.__dict__.get(PREFIX + key)


def forget(module: nn.Module, key: str) -> Any:
    """Return what was remembered of `module` under `key`, or None, and remember it no longer."""
    return module.__dict__.pop(PREFIX + key, None)
