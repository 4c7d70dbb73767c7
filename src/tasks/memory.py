"""Keep freed memory in the process, so that a training step does not fault its pages in again and again."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc
NEVER = 2_000_000_000


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to reuse large blocks instead of giving them back to the kernel; say whether it is there.

    A fresh block of 77 MB costs 44 ms to copy into, a used one 8 ms; a step makes dozens of them.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))
