"""Whole files or none: a reader never sees a half-written one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_text(path: Path, text: str, errors: str = "strict") -> None:
    """Write `text` as UTF-8 beside `path`, then rename it into place.

    Args:
        path: File to write or to replace; its folder must exist.
        text: The whole content; line ends are written as they are.
        errors: What to do with characters that UTF-8 cannot hold, as in `str.encode`.
    """
    write_bytes(path, text.encode("utf-8", errors))


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, then rename it into place; the folder of `path` must exist."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(beside, 0o644)  # mkstemp opens for the owner alone; the file is for everyone on the machine
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
