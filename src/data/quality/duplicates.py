"""Find duplicates: equal files, and near duplicates in different files."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...atomic import write_text
from ...edge.preprocess import Pixels
from .alignment import Thumbnail, match, thumbnail
from .detail import Look, look, same_detail

log = logging.getLogger(__name__)

DISTANCE = 8  # bits of 64 in which the hashes of a pair may differ
MOST = 50_000  # hash hits that are compared, nearest first: some minutes
_HELD = 256  # pictures whose detail is kept at hand: 70 MB
_VERSION = 4  # of what decides; a verdict of another version is not taken

Pair = tuple[int, int]


@dataclass(frozen=True)
class Duplicates:
    """Duplicates in a set of images.

    Attributes:
        exact: Pairs of positions whose files can be read and are equal, the first of each content with every other one.
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
    bit_depth: int,
    folder: Path | None = None,
) -> Duplicates:
    """Find the duplicates of a set of pictures.

    Args:
        digests: SHA-256 of every file.
        hashes: Perceptual hash of every picture.
        readable: Which pictures could be decoded.
        picture: Returns the decoded pixels of a position.
        bit_depth: What white is in deep grey pictures, as `picture` decodes them.
        folder: Where the verdicts on hash hits are kept for the next time; None keeps nothing.

    Returns:
        The pairs, each with the smaller position first, in ascending order.
    """
    firsts: dict[str, int] = {}
    known = [(place, digest) for place, digest in enumerate(digests) if readable[place]]
    exact = [(firsts[digest], place) for place, digest in known if firsts.setdefault(digest, place) != place]
    singles = np.array(list(firsts.values()), dtype=np.int64)
    pairs, hits = _hits(hashes[singles], singles)
    verdicts = folder and folder / f"same-pictures-{_key(pairs, digests, bit_depth)}.json"
    near = _read(verdicts, digests) if verdicts is not None else None
    if near is None:
        near = _compare(pairs, picture)
        if verdicts is not None:
            _write(verdicts, digests, near)
    return Duplicates(tuple(exact), tuple(sorted(near)), hits, len(pairs))


def _hits(hashes: NDArray[np.uint64], places: NDArray[np.int64]) -> tuple[list[Pair], int]:
    """Return the `MOST` nearest pairs of places whose hashes are near, nearest first, and how many there are."""
    parts = [np.empty((0, 3), dtype=np.int64)]
    held, count, reach = 0, 0, DISTANCE
    for row in range(len(hashes) - 1):
        bits = np.bitwise_count(hashes[row + 1 :] ^ hashes[row])
        count += int(np.count_nonzero(bits <= DISTANCE))
        others = np.flatnonzero(bits <= reach)
        pair = (np.full_like(others, places[row]), places[row + 1 + others])
        parts.append(np.stack([bits[others].astype(np.int64), *pair], axis=1))
        held += len(others)
        if held >= 2 * MOST:  # memory stays small where very many look alike
            parts = [_nearest(parts)]
            held, reach = MOST, int(parts[0][-1, 0]) - 1  # a later pair that is as far comes after the last one
    return [(left, right) for _, left, right in _nearest(parts).tolist()], count


def _nearest(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    found = np.concatenate(parts)
    return found[np.lexsort(found.T[::-1])[:MOST]]


def _compare(pairs: Sequence[Pair], picture: Callable[[int], Pixels]) -> list[Pair]:
    if pairs:
        log.info("comparing %d pairs of pictures that look alike", len(pairs))
    thumbnails: dict[int, Thumbnail] = {}  # of 4 kB each
    for place in {place for pair in pairs for place in pair}:
        thumbnails[place] = thumbnail(picture(place))
    looks = lru_cache(_HELD)(lambda place: look(picture(place)))
    return [pair for pair in sorted(pairs) if same_picture(pair, thumbnails, looks)]


def same_picture(pair: Pair, thumbnails: Mapping[int, Thumbnail], looks: Callable[[int], Look]) -> bool:
    """Return whether two pictures are copies: thumbnails are compared first, then details, which are decoded again."""
    moved = match(*(thumbnails[place] for place in pair))
    return moved is not None and same_detail(looks(pair[0]), looks(pair[1]), moved)


def _key(pairs: Sequence[Pair], digests: Sequence[str], bit_depth: int) -> str:
    """Return the hash of all that decides: which contents are compared, and how they are decoded."""
    compared = sorted(f"{digests[left]} {digests[right]}" for left, right in pairs)
    return hashlib.sha256("\n".join([f"{_VERSION} {bit_depth}", *compared]).encode()).hexdigest()[:16]


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
