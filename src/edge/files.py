"""Read the files of a bundle, and say of one that cannot be read what is the matter with it."""

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
    """Return what a file holds.

    Raises:
        FileNotFoundError: It is missing, which means something else for every file.
        ValueError: It cannot be read, or something that is no file has its name; a pipe is never waited for.
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
