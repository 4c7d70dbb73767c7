"""Silence Pillow's warnings in one thread: Python's warning filters are global to the process."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

Image.init()  # loads all of Pillow's modules, which are patched below
_thread = threading.local()


class _Warnings:
    """A stand-in for the module `warnings` inside Pillow."""

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)

    def warn(self, message: str | Warning, category: type[Warning] | None = None, stacklevel: int = 1) -> None:
        """Warn, except in a thread that asked for silence."""
        if not getattr(_thread, "silent", False):
            warnings.warn(message, category, stacklevel + 1)


@contextmanager
def pillow_silent() -> Iterator[None]:
    """Silence Pillow's warnings in this thread during the block."""
    before = getattr(_thread, "silent", False)
    _thread.silent = True
    try:
        yield
    finally:
        _thread.silent = before


for _name, _module in list(sys.modules.items()):
    if _name.startswith("PIL.") and getattr(_module, "warnings", None) is warnings:
        vars(_module)["warnings"] = _Warnings()
