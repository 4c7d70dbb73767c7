"""Read the files of a bundle, with errors that say why one cannot be read."""

from __future__ import annotations

import stat
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: It is missing; what that means is up to the caller.
        ValueError: It cannot be read, or it is no regular file: reading a pipe could block for ever.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind != stat.S_IFREG:
            raise ValueError(f"{path} cannot be read (it is {_KINDS.get(kind, 'no file')}): copy the bundle again")
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): let this user read the bundle") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): copy the bundle again") from error
