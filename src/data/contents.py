"""The distinct contents of a set of image files: looked up in a store by digest, or decoded and added to it."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..edge.preprocess import ImageError, Pixels, read_picture, resize
from ..spec import ImageSpec
from .quality.image_stats import IMAGE_STATS, measure
from .shards import INDEX, Shard
from .store import PixelStore

log = logging.getLogger(__name__)

THREADS = min(16, (os.cpu_count() or 1) + 2)
NOWHERE = -1

In = TypeVar("In")
Out = TypeVar("Out")
Decoded = tuple[NDArray[Any], Pixels] | str  # statistics and pixels, or why there are none


class Contents:
    """The distinct contents of image files: equal files are decoded, measured and stored once.

    Attributes:
        of: The number of the content of each file, N.
        image_stats: One record of `IMAGE_STATS` for each content, zeros where it is broken.
        reasons: Why a content cannot be used, by its number.
        shards: Where pixels lie.
        place: Number of the shard and of the row in it for each content; `NOWHERE` where there is none.
    """

    def __init__(self, paths: Sequence[Path], digests: Sequence[str]) -> None:
        """Join what is equal.

        Args:
            paths: The image files, N.
            digests: SHA-256 of each file in hexadecimal, as in `DatasetIndex.digests`.
        """
        raw = np.array([_raw(digest) for digest in digests], dtype="S32")
        self._digests, self._first, of = np.unique(raw, return_index=True, return_inverse=True)
        self._paths = paths
        self.of = of.astype(np.int32)
        self.image_stats = np.zeros(len(self._digests), IMAGE_STATS)
        self.reasons: dict[int, str] = {}
        self.shards: list[Shard] = []
        self.place = np.full((len(self._digests), 2), NOWHERE, dtype=np.int32)

    def measure(self, image: ImageSpec) -> None:
        """Decode all contents for their statistics alone."""
        log.info("reading %d images, their pixels are not kept", len(self._paths))
        for number, decoded in self._decode_all(image, range(len(self._digests)), check=False):
            self._note(number, decoded)

    def find_or_fill(self, store: PixelStore, image: ImageSpec) -> None:
        """Look all contents up in a store, and decode the missing ones into it.

        Raises:
            ValueError: The store cannot be written, or the disk is full.
        """
        if not self._missing(store):
            log.info("%d images, all of them in %s", len(self._paths), store.folder)
            return
        with store.lock():
            missing = self._missing(store, heal=True)  # another run may have filled it since
            found = len(self._digests) - len(missing)
            log.info("%d images: %d files in %s, %d to decode", len(self._paths), found, store.folder, len(missing))
            store.reserve(len(missing))
            missing.sort(key=lambda number: int(self._first[number]))  # neighbours in a split are so on the disk
            self._fill(store, image, missing)

    def _missing(self, store: PixelStore, heal: bool = False) -> list[int]:
        """Look every content up, and return the numbers of those that are not there."""
        self.shards.clear()
        self.place[:] = NOWHERE
        for shard, index in store.shards(heal) if len(self._digests) else ():
            at = np.searchsorted(self._digests, index["digest"]).clip(max=len(self._digests) - 1)
            rows = np.flatnonzero(self._digests[at] == index["digest"])
            if rows.size:
                self.place[at[rows], 0], self.place[at[rows], 1] = len(self.shards), rows
                self.image_stats[at[rows]] = index["facts"][rows]
                self.shards.append(shard)
        numbers: list[int] = np.flatnonzero(self.place[:, 0] == NOWHERE).tolist()
        return numbers

    def _fill(self, store: PixelStore, image: ImageSpec, missing: list[int]) -> None:
        """Decode into the store, a shard at a time."""
        rows = min(store.rows, len(missing))
        index, pixels = np.zeros(rows, INDEX), np.empty((rows, *store.shape), np.uint8)
        numbers: list[int] = []
        for number, decoded in self._decode_all(image, missing, check=True):
            self._note(number, decoded)
            if not isinstance(decoded, str):
                index[len(numbers)] = (self._digests[number], decoded[0])
                pixels[len(numbers)] = decoded[1].transpose(2, 0, 1)
                numbers.append(number)
            if len(numbers) == rows:
                self._add(store, index, pixels, numbers)
                numbers = []
        if numbers:
            self._add(store, index[: len(numbers)], pixels[: len(numbers)], numbers)

    def _add(self, store: PixelStore, index: NDArray[Any], pixels: NDArray[np.uint8], numbers: list[int]) -> None:
        shard = store.add(index, pixels)
        self.place[numbers, 0], self.place[numbers, 1] = len(self.shards), np.arange(len(numbers))
        self.shards.append(shard)

    def _note(self, number: int, decoded: Decoded) -> None:
        if isinstance(decoded, str):
            self.reasons[number] = decoded
        else:
            self.image_stats[number] = decoded[0]

    def _decode_all(self, image: ImageSpec, numbers: Iterable[int], check: bool) -> Iterator[tuple[int, Decoded]]:
        """Yield each content's number with what decoding its first file gave, in the order of the numbers."""

        def one(number: int) -> tuple[int, Decoded]:
            digest = bytes(self._digests[number]).ljust(32, b"\0")  # numpy leaves out zeros at the end
            return number, _decode(self._paths[self._first[number]], image, digest if check else None)

        yield from _in_threads(one, numbers)


def _decode(path: Path, image: ImageSpec, digest: bytes | None) -> Decoded:
    """Decode one file, or return why not; a file that no longer has its `digest` must not be cached under it."""
    try:
        data = path.read_bytes()
        if digest is not None and hashlib.sha256(data).digest() != digest:
            return "it was changed while it was read: start again"
        picture = read_picture(data, image.bit_depth, str(path))
        return measure(picture), resize(picture.pixels, image)
    except ImageError as error:
        return str(error).removeprefix("picture in memory: ")
    except OSError as error:
        return error.strerror or str(error)


def _raw(digest: str) -> bytes:
    """Return the bytes of a digest; an unreadable file has its path in place of one."""
    try:
        return bytes.fromhex(digest)
    except ValueError:
        return hashlib.sha256(digest.encode(errors="surrogateescape")).digest()


def _in_threads(function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """Yield the results in order, of which only a few are waiting at any time."""
    with ThreadPoolExecutor(THREADS) as threads:
        waiting: deque[Future[Out]] = deque()
        # A bounded queue: pictures may be large, and the reader slower than the threads.
        for item in items:
            waiting.append(threads.submit(function, item))
            if len(waiting) >= 4 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
