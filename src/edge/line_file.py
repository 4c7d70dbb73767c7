"""Append lines to a file, each whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from ..atomic import named

_CHUNK = 2**16


class LineFile:
    """Append lines to an open file: if one cannot be written whole, nothing of it stays."""

    def __init__(self, descriptor: int, name: str | Path) -> None:
        """Wrap the file.

        Args:
            descriptor: An open file, pipe or device; not closed here.
            name: Its name in errors.
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
            except BaseException:  # Ctrl-C too
                # Only a part of our own line is cut: another process may have written behind it.
                if 0 < os.fstat(self._descriptor).st_size - before < len(content):
                    os.ftruncate(self._descriptor, before)
                    os.lseek(self._descriptor, 0, os.SEEK_END)
                raise

    def sync(self) -> None:
        """Flush what was written to the disk.

        Raises:
            WriteError: It cannot be.
        """
        with named(self._name):
            os.fsync(self._descriptor)


def cut_half_line(path: Path) -> None:
    """Remove what follows the last line end: a power failure may leave half a line."""
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
