"""Find pictures that are there more than once: equal files, and equal pictures in unlike files."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.data.files import write_text
from src.data.quality.alignment import Grey, same_picture, thumbnail
from src.edge.preprocess import Pixels

log = logging.getLogger(__name__)

DISTANCE = 8  # bits of 64 in which the hashes of a pair may differ
MOST = 50_000  # hash hits that are compared, nearest first: some minutes
_VERSION = 1  # of what decides; a verdict of another version is not taken

Pair = tuple[int, int]


@dataclass(frozen=True)
class Duplicates:
    """What is there more than once.

    Attributes:
        exact: Pairs of positions whose files are equal, the first of each content with every other one.
        near: Pairs whose pictures are the same although their files are not.
        hits: Pairs of unlike files whose hashes are near, look-alikes included.
        compared: How many of them were compared pixel by pixel: all, or `MOST`.
    """

    exact: tuple[Pair, ...]
    near: tuple[Pair, ...]
    hits: int
    compared: int


def find_duplicates(
    digests: Sequence[str],
    hashes: NDArray[np.uint64],
    readable: Sequence[bool],
    picture: Callable[[int], Pixels],
    folder: Path | None = None,
) -> Duplicates:
    """Find the duplicates of a set of pictures.

    Args:
        digests: SHA-256 of every file.
        hashes: Perceptual hash of every picture.
        readable: Which pictures could be decoded.
        picture: Returns the decoded pixels of a position.
        folder: Where the verdicts on hash hits are kept for the next time; None keeps nothing.

    Returns:
        The pairs, each with the smaller position first, in ascending order.
    """
    firsts: dict[str, int] = {}
    exact = [
        (firsts[digest], place) for place, digest in enumerate(digests) if firsts.setdefault(digest, place) != place
    ]
    singles = np.array([place for place in firsts.values() if readable[place]], dtype=np.int64)
    hits = _hits(hashes[singles], singles)
    pairs = [(int(left), int(right)) for left, right in hits[:MOST]]
    verdicts = folder and folder / f"same-pictures-{_key([digests[place] for place in singles])}.json"
    near = _read(verdicts, digests) if verdicts is not None else None
    if near is None:
        near = _compare(pairs, picture)
        if verdicts is not None:
            _write(verdicts, digests, near)
    return Duplicates(tuple(exact), tuple(sorted(near)), len(hits), len(pairs))


def _hits(hashes: NDArray[np.uint64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pairs of places whose hashes are near (M x 2), nearest first."""
    parts = [np.empty((0, 3), dtype=np.int64)]
    for row in range(len(hashes) - 1):
        bits = np.bitwise_count(hashes[row + 1 :] ^ hashes[row])
        others = np.flatnonzero(bits <= DISTANCE)
        if others.size:
            pair = (np.full_like(others, places[row]), places[row + 1 + others])
            parts.append(np.stack([bits[others].astype(np.int64), *pair], axis=1))
    found = np.concatenate(parts)
    return found[np.lexsort(found.T[::-1]), 1:]


def _compare(pairs: Sequence[Pair], picture: Callable[[int], Pixels]) -> list[Pair]:
    if pairs:
        log.info("comparing %d pairs of pictures that look alike", len(pairs))
    greys: dict[int, Grey] = {}
    for place in {place for pair in pairs for place in pair}:
        greys[place] = thumbnail(picture(place))
    return [pair for pair in pairs if same_picture(greys[pair[0]], greys[pair[1]])]


def _key(digests: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([str(_VERSION), *sorted(digests)]).encode()).hexdigest()[:16]


def _read(path: Path, digests: Sequence[str]) -> list[Pair] | None:
    """Return the verdicts of an earlier run, None where there are none that can be read."""
    places: dict[str, int] = {}
    for place, digest in enumerate(digests):
        places.setdefault(digest, place)
    try:
        known = json.loads(path.read_text())
        return [(min(pair), max(pair)) for pair in ([places[digest] for digest in digests] for digests in known)]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, digests: Sequence[str], near: Sequence[Pair]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps([[digests[left], digests[right]] for left, right in near]))
