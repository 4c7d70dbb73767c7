"""Whole files, links and folders, or none, and folders of one's own; an error names the file."""

from __future__ import annotations

import ctypes
import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

PART = ".part"  # the end of a name that a killed run may leave, after a dot in front
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # from Linux's fcntl.h and fs.h
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WAYS_OUT = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room in your quota",
    errno.EFBIG: "files may not be so large there, choose another place",
    errno.ENOENT: "make its folder first",
    errno.ENOTDIR: "a file stands where its folder should be, choose another place",
    errno.EEXIST: "a file stands where its folder should be, choose another place",
    errno.EISDIR: "a folder has its name, move it away",
    errno.ENAMETOOLONG: "its name is too long, choose a shorter one",
}


class WriteError(OSError):
    """A file cannot be written; the message names it, says why, and what to do."""

    def __str__(self) -> str:
        way_out = _WAYS_OUT.get(self.errno or 0, "choose a place that can be written")
        return f"{self.filename} cannot be written ({self.strerror}): {way_out}"


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Make what the system says about a write inside the block a `WriteError` about `path`."""
    try:
        yield
    except (WriteError, BrokenPipeError):  # a reader that had enough is no fault
        raise
    except OSError as error:
        raise WriteError(error.errno, error.strerror or str(error), str(path)) from error


def is_unwritable(error: BaseException) -> bool:
    """Tell whether an error says that a place is full or may not be written."""
    return isinstance(error, OSError) and error.errno in (*_FULL, errno.EACCES, errno.EPERM, errno.EROFS)


def write_text(path: Path, text: str, errors: str = "strict") -> None:
    """Write `text` as UTF-8; as `write_bytes`.

    Args:
        path: File to write or to replace; its folder must exist.
        text: The whole content; line ends are written as they are.
        errors: What to do with characters that UTF-8 cannot hold, as in `str.encode`.
    """
    write_bytes(path, text.encode("utf-8", errors))


def write_json(path: Path, content: Any) -> None:
    """Write values as JSON; a number that is not finite, which JSON has not, becomes null. As `write_bytes`."""
    write_text(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_finite, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, bring it to the disk, then rename it into place.

    Args:
        path: File to write or to replace; its folder must exist.
        content: All of it.

    Raises:
        WriteError: It cannot be written; an earlier file is left as it was, and nothing beside it.
    """
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside `path` that takes its place when the block ends well, and is removed when it does not.

    Raises:
        WriteError: As `write_bytes`.
    """
    beside = _hidden(path)
    with named(path):
        try:
            with beside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise


def _hidden(path: Path) -> Path:
    """Return a name beside `path` that nobody else takes."""
    return path.with_name(f".{path.name}.{token_hex(3)}{PART}")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        WriteError: It cannot be made.
    """
    with named(path):
        path.mkdir(parents=True, exist_ok=True)


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a folder, all or none; other files that it holds stay.

    A new folder appears whole. In an old one all files lie ready beside it before the first is replaced.

    Raises:
        WriteError: They cannot be written; what was there is as it was.
    """
    make_folder(folder.parent)
    try:
        with _beside(folder) as ready:
            for name, content in contents.items():
                write_bytes(ready / name, content)
            if not folder.exists():
                ready.rename(folder)
                return
            for name in contents:
                (ready / name).replace(folder / name)
    except WriteError as error:
        raise WriteError(error.errno, error.strerror, str(folder)) from error


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder` that takes its place when the block ends well, and is removed otherwise."""
    with _beside(folder) as new:
        yield new
        put_in_place(new, folder)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Yield an empty folder on the disk of `folder`, and remove what is left there in the end."""
    with named(folder), TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as work:
        new = Path(work) / folder.name
        new.mkdir()
        yield new


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


def write_link(link: Path, target: str) -> None:
    """Let `link` point to `target`, in one step also where it pointed elsewhere before."""
    beside = _hidden(link)
    with named(link):
        try:
            beside.symlink_to(target)
            os.replace(beside, link)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise


@contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Remove a folder that was made for what the block writes, where the block fails and left nothing in it."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it holds something
            folder.rmdir()
        raise


def new_folder(wanted: Path) -> Path:
    """Make a folder that was not there, `wanted`, else `wanted-2`, `wanted-3` and so on, and return it.

    Raises:
        WriteError: None can be made there.
    """
    make_folder(wanted.parent)
    folder, number = wanted, 1
    while True:
        try:
            with named(wanted):
                folder.mkdir()
            return folder
        except WriteError as error:
            if error.errno != errno.EEXIST:
                raise
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
