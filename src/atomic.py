"""Whole files and whole lines, or none, and folders of one's own; an error names the file."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

PART = ".part"  # the end of a name that a killed run may leave, after a dot in front
_CHUNK = 2**16
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
    beside = path.with_name(f".{path.name}.{token_hex(3)}{PART}")
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


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        WriteError: It cannot be made.
    """
    with named(path):
        path.mkdir(parents=True, exist_ok=True)


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


class LineFile:
    """Lines at the end of an open file: when one cannot be written whole, nothing of it stays."""

    def __init__(self, descriptor: int, name: str | Path) -> None:
        """Bind the file.

        Args:
            descriptor: An open file, pipe or device; not closed here.
            name: What an error calls it.
        """
        self._descriptor, self._name = descriptor, name

    def write(self, lines: str) -> None:
        """Write one line or several, with their ends.

        Raises:
            BrokenPipeError: The reader has left.
            WriteError: They cannot be written.
        """
        content = memoryview(lines.encode("utf-8", "surrogateescape"))
        with named(self._name):
            before = os.fstat(self._descriptor).st_size
            try:
                rest = content
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except BaseException:  # Ctrl-C, too
                if 0 < os.fstat(self._descriptor).st_size - before < len(content):
                    os.ftruncate(self._descriptor, before)
                    os.lseek(self._descriptor, 0, os.SEEK_END)
                raise

    def sync(self) -> None:
        """Bring what was written to the disk.

        Raises:
            WriteError: It cannot be.
        """
        with named(self._name):
            os.fsync(self._descriptor)


def cut_half_line(path: Path) -> None:
    """Take away what stands behind the last line end: a power failure may leave half a line."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _CHUNK)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            if last >= 0:
                file.truncate(start + last + 1)
                return
            end = start
        file.truncate(0)
