"""Replace a folder in one step."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# From Linux's fcntl.h and fs.h.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def put_in_place(new: Path, folder: Path) -> None:
    """Give `new` the place of `folder`, on the same disk; an earlier `folder` then lies at `new`.

    Linux exchanges the two names at once. Elsewhere there is a moment between two renames without a `folder`.
    """
    if not folder.exists():
        os.rename(new, folder)
    elif not _exchange(new, folder):
        earlier = new.with_name(f"{new.name}-earlier")
        os.rename(folder, earlier)
        os.rename(new, folder)
        os.rename(earlier, new)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names (`man 2 renameat2`); False where the system or the disk cannot."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # no such call, or no C library to ask (Windows)
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)
