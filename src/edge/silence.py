"""Silence Pillow's warnings in the thread that decodes alone: Python's own filters hold for the whole process."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

Image.init()  # loads every module of it that warns
_thread = threading.local()


class _Warnings:
    """The module `warnings` as Pillow sees it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)

    def warn(self, message: str | Warning, category: type[Warning] | None = None, stacklevel: int = 1) -> None:
        """Warn as ever, but in a thread that asked for silence."""
        if not getattr(_thread, "silent", False):
            warnings.warn(message, category, stacklevel + 1)


@contextmanager
def pillow_silent() -> Iterator[None]:
    """Let Pillow warn of nothing inside the block, in this thread; no filter changes what it decodes."""
    before = getattr(_thread, "silent", False)
    _thread.silent = True
    try:
        yield
    finally:
        _thread.silent = before


for _name, _module in list(sys.modules.items()):
    if _name.startswith("PIL.") and getattr(_module, "warnings", None) is warnings:
        vars(_module)["warnings"] = _Warnings()
