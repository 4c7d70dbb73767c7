"""What is skipped in a source, counted by reason."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from .preprocess import Pixels, read_picture
from .walk import Found, Skip, sort_out

log = logging.getLogger(__name__)


class Unread:
    """The files and folders that are skipped, and the pages behind the first one of what is read.

    Attributes:
        skipped: Files and folders by reason.
        pages: Number of pages or frames after the first.
    """

    def __init__(self, skips: Iterable[Skip] = ()) -> None:
        """Start with what is known."""
        self.skipped: dict[str, list[Path]] = {}
        self.pages = 0
        self._seen, self._judged = set[Path](), set[Path]()
        for path, reason in skips:
            self.skipped.setdefault(reason, []).append(path)

    def update(self, found: Found) -> None:
        """Update from a new scan of a folder: count what two scans in a row found, forget what is gone."""
        lost = dict(found.lost)
        here = lost.keys() | set(found.others)
        for path in self._judged - here:
            for paths in self.skipped.values():
                if path in paths:
                    paths.remove(path)
        new = (here & self._seen) - self._judged
        skips = [(path, lost[path]) for path in new & lost.keys()] + sort_out(new - lost.keys())[0]
        for path, reason in sorted(skips):
            known = self.skipped.setdefault(reason, [])
            if not known:
                log.warning("skipped: %s (%s)", path, reason)
            known.append(path)
        self._judged = (self._judged | new) & here
        self._seen = here

    def decode(self, path: Path, bit_depth: int) -> Pixels:
        """Decode the first page of a picture, and count the others.

        Raises:
            ImageError: As `read_picture`.
        """
        picture = read_picture(path, bit_depth)
        if picture.frames > 1:
            if not self.pages:
                log.warning("%s has %d pages or frames: the first one is decided", path, picture.frames)
            self.pages += picture.frames - 1
        return picture.pixels

    def __str__(self) -> str:
        skips = [(path, reason) for reason, paths in self.skipped.items() for path in paths]
        pages = f", {self.pages} further pages not looked at" if self.pages else ""
        return (f", {len(skips)} skipped ({describe(skips)})" if skips else "") + pages


def describe(skips: Iterable[Skip]) -> str:
    """Return in words why files and folders are skipped: for each reason the first one, and the number of others."""
    by_reason: dict[str, list[Path]] = {}
    for path, reason in skips:
        by_reason.setdefault(reason, []).append(path)
    return "; ".join(
        f"{paths[0]}{f' and {len(paths) - 1:,} more' if len(paths) > 1 else ''}: {reason}"
        for reason, paths in by_reason.items()
    )
