"""Image files that Graft writes itself."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_image(path: Path, content: bytes) -> None:
    """Write an encoded image beside `path`, then rename it into place: a file of that name is a whole one.

    Args:
        path: File to write or to replace; missing folders are made.
        content: The whole file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(beside, 0o644)  # mkstemp opens for the owner alone
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
