"""Give back to the system what loading a model leaves behind."""

from __future__ import annotations

import ctypes
import sys


def release_freed_memory() -> bool:
    """Make glibc's malloc return what was freed (`man 3 malloc_trim`); say whether it is there.

    Reading a model frees several times its own size, and glibc keeps most of it for later.
    """
    if sys.platform != "linux":
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is None:
        return False
    trim(0)
    return True


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
