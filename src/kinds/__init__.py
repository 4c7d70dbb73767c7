"""The kinds of task: one file each, with numpy alone, so that the camera knows them too."""

import importlib
import pkgutil

from .kind import Kind, Truth
from .registry import KINDS, find_kind, names_that_learn, read_task, require_task
from .rows import Array, Decided, Rows

__all__ = [
    "KINDS",
    "Array",
    "Decided",
    "Kind",
    "Rows",
    "Truth",
    "find_kind",
    "names_that_learn",
    "read_task",
    "require_task",
]

# A file of this folder is all that a new kind needs here.
for _file in pkgutil.iter_modules(__path__):
    _kind = getattr(importlib.import_module(f"{__name__}.{_file.name}"), "KIND", None)
    if _kind is not None:
        KINDS[_kind.name] = _kind
