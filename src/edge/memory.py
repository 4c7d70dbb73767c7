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
