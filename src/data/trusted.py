"""Allow-list for the data settings in a trained file: Hydra would call any code that they name."""

from __future__ import annotations

import inspect
from collections.abc import Set
from typing import Any

from .. import data
from ..targets import common_target
from . import transforms

SOURCES = frozenset(
    common_target(f"{data.__name__}.{name}")
    for name, value in inspect.getmembers(data, inspect.isclass)
    if name in data.__all__ and issubclass(value, data.ImageData) and not inspect.isabstract(value)
)
AUGMENTS = frozenset(
    common_target(f"{transforms.__name__}.{name}")
    for name, value in inspect.getmembers(transforms, inspect.isfunction)
    if value.__module__ == transforms.__name__ and not name.startswith("_")
)
_HYDRA = ("_target_", "_partial_")  # of Hydra's own keys, those that our configs use


def require_trusted(settings: dict[str, Any]) -> None:
    """Refuse settings that build anything but one of our sources, with one of our augmentations.

    Raises:
        ValueError: They name other code, steer how Hydra calls it, or look something up on this machine.
    """
    if "_target_" not in settings:
        raise ValueError("the file names no data source of Graft: do not trust it")
    _examine(settings, SOURCES)


def _examine(settings: Any, allowed: Set[str]) -> None:
    if isinstance(settings, dict):
        target = settings.get("_target_")
        if target is not None and common_target(str(target)) not in allowed:
            raise ValueError(f"the file asks to run {target}, which is no data source of Graft: do not trust it")
        for key, value in settings.items():
            if str(key).startswith("_") and str(key).endswith("_") and key not in _HYDRA:
                raise ValueError(f"the file sets {key}, which no training writes: do not trust it")
            _examine(key, AUGMENTS)
            _examine(value, AUGMENTS)
    elif isinstance(settings, list):
        for value in settings:
            _examine(value, AUGMENTS)
    elif isinstance(settings, str) and "${" in settings:
        raise ValueError(f"the file asks to look up {settings!r}, which no training writes: do not trust it")
