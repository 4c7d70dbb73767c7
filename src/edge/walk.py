"""Everything below a folder, links followed: the pictures, what cannot be looked into, and the other files."""

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
    """What lies below a folder.

    Attributes:
        pictures: Files with the name of a picture.
        lost: Links, folders and devices that cannot be read, with the reason.
        others: All other files; `sort_out` tells which of them are pictures too.
        ignored: How many hidden files and folders there are.
        folders: Every folder that was looked into.
    """

    pictures: list[Path] = field(default_factory=list)
    lost: list[Skip] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    ignored: int = 0
    folders: list[Path] = field(default_factory=list)

    def add(self, entry: os.DirEntry[str] | Path) -> bool:
        """Put a file in its place, or tell that it is a folder to be looked into."""
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
    """Find every file below a folder; hidden files and folders are not looked at.

    Links to folders are followed once all real folders are read, so that a folder that is there twice goes by its real
    name. A link to a folder that holds it, or to one that is read already, is not followed.

    Args:
        folder: Where to begin, whatever its own name.
    """
    found = Found()
    whole = folder.resolve()
    read: dict[tuple[int, int], Path] = {}
    for above in whole.parents:
        with suppress(OSError):  # a share that is away
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
    """Return the files that say they are pictures and are not read, each with the reason, and how many are none."""
    reasons = [(path, why_unread(path)) for path in others]
    skipped = [(path, reason) for path, reason in reasons if reason is not None]
    return skipped, len(reasons) - len(skipped)


def _identity(folder: Path) -> tuple[int, int]:
    state = os.stat(folder)
    return state.st_dev, state.st_ino
