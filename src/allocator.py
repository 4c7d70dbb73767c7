"""What glibc's malloc does with freed memory: give it back to the system, or keep it in the process."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # M_... of glibc's malloc.h
_NEVER = 2_000_000_000  # bytes of free memory at the end of the heap


def release_freed_memory() -> bool:
    """Give freed memory back to the system (`man 3 malloc_trim`), and return whether there is a way to.

    Reading a model frees several times its own size, and glibc keeps most of it for later.
    """
    trim = _function("malloc_trim")
    if trim is None:
        return False
    trim(0)
    return True


def keep_freed_memory() -> bool:
    """Let large blocks be used again in place of giving them back (`man 3 mallopt`), and return whether that is set.

    A fresh block of 77 MB costs 44 ms to copy into, a used one 8 ms, as its pages are there; a training step makes
    dozens of them.
    """
    set_option = _function("mallopt")
    return set_option is not None and bool(set_option(_MMAP_MAX, 0)) and bool(set_option(_TRIM_THRESHOLD, _NEVER))


def _function(name: str) -> Callable[..., Any] | None:
    """Return a function of the C library; None outside Linux, and where it has none of that name, as musl."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


class Watermark:
    """Tell work of another size than the work before it, after which memory is to be given back.

    To give it back after all work would cost time where every picture is as large as the last.
    """

    def __init__(self, step: int) -> None:
        """Start without a size.

        Args:
            step: By how much two sizes may always differ.
        """
        self._step, self._held = step, 0

    def is_passed(self, size: int) -> bool:
        """Tell whether work of this size is more than `step` and a quarter away from the largest since the last one."""
        passed = abs(size - self._held) > max(self._step, max(size, self._held) // 4)
        self._held = size if passed else max(size, self._held)
        return passed
