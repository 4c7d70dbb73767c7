"""Watch a folder: a picture is read once it is completely written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import ClassVar

from .frames import Frame, Source
from .unread import Unread
from .walk import walk

INTERVAL = 0.5  # seconds between two scans

State = tuple[int, int, int]


@dataclass(frozen=True)
class Watch(Source):
    """The pictures of a folder and its subfolders, present and future.

    A file is complete when it is not empty and did not change between two scans. One that changes later is read again,
    so that a picture whose writer paused is decided in the end.

    Attributes:
        folder: The folder.
        idle: Seconds without a change after which the watch ends; None for never.
        unread: Files that came and are not read.
    """

    folder: Path
    idle: float | None = None
    unread: Unread = field(default_factory=Unread, compare=False)
    live: ClassVar[bool] = True

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield the pictures as they become complete, the oldest first."""
        before: dict[str, State] = {}
        taken: dict[str, State] = {}
        busy = time.monotonic()
        while not stop.is_set():
            begin = time.monotonic()
            found = walk(self.folder)
            now = _states(found.pictures)
            pause = max(INTERVAL, 10 * (time.monotonic() - begin))  # at most a tenth of a core
            complete = [path for path, state in now.items() if before.get(path) == state != taken.get(path)]
            for path in sorted(complete, key=lambda path: (now[path][1], path)):
                yield Frame(path, os.path.relpath(path, self.folder), partial(self.unread.decode, Path(path)))
            taken |= {path: now[path] for path in complete}
            if now:  # a share that is away for a while is not an empty folder
                taken = {path: state for path, state in taken.items() if path in now}
            self.unread.update(found)
            if complete or now != before:
                busy = time.monotonic()
            elif self.idle is not None and time.monotonic() - busy >= self.idle:
                return
            before = now
            stop.wait(pause)

    def holds(self, folder: Path) -> bool:
        """Return whether one of the two folders contains the other, or a linked folder and `folder` do."""
        other = folder.resolve()
        links = [each.resolve() for each in (self.folder, *walk(self.folder).folders)]
        return any(own.is_relative_to(other) or other.is_relative_to(own) for own in links)

    def left_out(self) -> str:
        """Return what was skipped, and how many further pages there were, in words."""
        return str(self.unread)


def _states(pictures: Iterable[Path]) -> dict[str, State]:
    """Return size, time of the last change (ns) and inode of every picture that is not empty."""
    found = {}
    for path in pictures:
        with suppress(OSError):  # taken away since it was listed
            state = os.stat(path)
            if state.st_size:
                found[str(path)] = (state.st_size, state.st_mtime_ns, state.st_ino)
    return found
