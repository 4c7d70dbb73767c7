"""Find everything below a folder, links followed: pictures, unreadable entries, and other files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .formats import is_picture, why_unread

UNREADABLE = "a folder that cannot be read"

Skip = tuple[Path, str]  # a file or a folder, and why it is not read


@dataclass
class Found:
    """The content of a folder and its subfolders.

    Attributes:
        pictures: Files with the name of a picture.
        lost: Links, folders and devices that cannot be read, with the reason.
        others: All other files; `sort_out` finds pictures among them.
        ignored: Number of hidden files and folders.
        folders: Every folder that was read.
    """

    pictures: list[Path] = field(default_factory=list)
    lost: list[Skip] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    ignored: int = 0
    folders: list[Path] = field(default_factory=list)

    def add(self, entry: os.DirEntry[str] | Path) -> bool:
        """Add a file, or return whether it is a folder to read."""
        path = Path(entry)
        if entry.name.startswith("."):
            self.ignored += 1
            return False
        try:
            if entry.is_dir():
                return True
            if entry.is_file():
                (self.pictures if is_picture(entry.name) else self.others).append(path)
            elif entry.is_symlink() and not path.exists():
                self.lost.append((path, "a link to nothing"))
            elif is_picture(entry.name):
                self.lost.append((path, "no regular file"))
        except OSError as error:
            self.lost.append((path, error.strerror or str(error)))
        return False


def walk(folder: Path) -> Found:
    """Find every file below a folder; hidden files and folders are skipped.

    Links to folders are followed after all real folders, so that a folder with two names is read under its real one. A
    link to a folder that contains it, or that was read already, is not followed.

    Args:
        folder: Where to begin, even if it is hidden itself.
    """
    found = Found()
    whole = folder.resolve()
    read: dict[tuple[int, int], Path] = {}
    for above in whole.parents:
        with suppress(OSError):  # an unavailable share
            read[_identity(above)] = above
    folders, links = [folder], list[Path]()
    while folders or links:
        here = folders.pop() if folders else links.pop(0)
        try:
            known = read.setdefault(_identity(here), here)
            if known is not here:
                loop = known in (*here.parents, *whole.parents)
                found.lost.append((here, "a folder that holds the link" if loop else "a folder that is read already"))
                continue
            with os.scandir(here) as entries:
                below = sorted(entries, key=lambda entry: entry.name)
            found.folders.append(here)
        except OSError as error:
            found.lost.append((here, f"{UNREADABLE} ({error.strerror or error})"))
            continue
        for entry in below:
            if found.add(entry):
                (links if entry.is_symlink() else folders).append(Path(entry))
    return Found(sorted(found.pictures), sorted(found.lost), sorted(found.others), found.ignored, sorted(found.folders))


def sort_out(others: Iterable[Path]) -> tuple[list[Skip], int]:
    """Return the pictures that are not read, each with the reason, and the number of other files."""
    reasons = [(path, why_unread(path)) for path in others]
    skipped = [(path, reason) for path, reason in reasons if reason is not None]
    return skipped, len(reasons) - len(skipped)


def _identity(folder: Path) -> tuple[int, int]:
    state = os.stat(folder)
    return state.st_dev, state.st_ino
