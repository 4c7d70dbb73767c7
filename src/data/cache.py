"""Decoded and resized images: on the disk, once for all runs, or decoded anew at every access."""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.data.quality.facts import FACTS, measure
from src.data.shards import INDEX, Shard
from src.data.store import PixelStore
from src.edge.preprocess import ImageError, Pixels, decode, load, resize
from src.spec import ImageSpec

log = logging.getLogger(__name__)

THREADS = min(16, (os.cpu_count() or 1) + 2)
_NOWHERE = -1

In = TypeVar("In")
Out = TypeVar("Out")
Decoded = tuple[NDArray[Any], Pixels] | str  # facts and pixels, or why there are none


class PixelCache:
    """Know of every image whether it is broken and what it is like, and give its pixels.

    Equal files are decoded and kept once. Memory holds a few numbers an image, and no pixels.

    Attributes:
        errors: Why an image cannot be used, by its position.
        facts: One record of `src.data.quality.facts.FACTS` for each image, zeros where it is broken.
    """

    def __init__(
        self, paths: Sequence[Path], digests: Sequence[str], image: ImageSpec, folder: Path | None = None
    ) -> None:
        """Find the images in the cache and decode those that are not there.

        Args:
            paths: The image files.
            digests: SHA-256 of each file in hexadecimal, as in `Listing.digests`.
            image: How they become the network's input.
            folder: The cache, made when it is not there; None keeps no pixels and decodes at every access.

        Raises:
            ValueError: The cache cannot be written, or the disk is full.
        """
        self._paths, self._image = paths, image
        self._shards: list[Shard] = []
        raw = np.array([_raw(digest) for digest in digests], dtype="S32")
        self._digests, first, content = np.unique(raw, return_index=True, return_inverse=True)
        self._content = content.astype(np.int32)
        self._place = np.full((len(self._digests), 2), _NOWHERE, dtype=np.int32)  # shard and row of each content
        facts = np.zeros(len(self._digests), FACTS)
        reasons: dict[int, str] = {}
        if folder is None:
            log.info("reading %d images, not kept", len(paths))
            for number, decoded in self._decoded(first, range(len(first))):
                _note(number, decoded, facts, reasons)
        else:
            self._find_or_fill(PixelStore(folder, image), first, facts, reasons)
        del self._digests  # what follows goes by position
        self.facts = facts[self._content]
        self.errors = {at: reasons[number] for at, number in enumerate(self._content.tolist()) if number in reasons}

    def __getitem__(self, position: int) -> Tensor:
        """Return a copy of the pixels, 3 x H x W, uint8.

        Raises:
            ImageError: The image is broken.
        """
        if position in self.errors:
            raise ImageError(f"{self._paths[position]}: {self.errors[position]}")
        shard, row = self._place[self._content[position]]
        if shard != _NOWHERE:
            try:
                return self._shards[int(shard)].row(int(row))
            except (OSError, ValueError) as error:  # removed or cut while this run goes on
                log.warning("%s is not in the cache any more (%s): decoded", self._paths[position], error)
        pixels = load(self._paths[position], self._image)
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    def _find_or_fill(
        self, store: PixelStore, first: NDArray[np.intp], facts: NDArray[Any], reasons: dict[int, str]
    ) -> None:
        missing = self._find(store, facts, heal=False)
        if not missing:
            log.info("%d images, all of them in %s", len(self._paths), store.folder)
            return
        with store.locked():
            missing = self._find(store, facts, heal=True)
            log.info(
                "%d images: %d files from %s, %d to decode",
                *(len(self._paths), len(first) - len(missing), store.folder, len(missing)),
            )
            store.reserve(len(missing))
            missing.sort(key=lambda number: int(first[number]))  # neighbours in an epoch are neighbours on the disk
            self._fill(store, self._decoded(first, missing, check=True), len(missing), facts, reasons)

    def _find(self, store: PixelStore, facts: NDArray[Any], heal: bool) -> list[int]:
        """Look every content up in the store, and return the numbers of those that are not there."""
        self._shards.clear()
        self._place[:] = _NOWHERE
        for shard, index in store.shards(heal) if len(self._digests) else ():
            at = np.searchsorted(self._digests, index["digest"]).clip(max=len(self._digests) - 1)
            rows = np.flatnonzero(self._digests[at] == index["digest"])
            if rows.size:
                self._place[at[rows], 0], self._place[at[rows], 1] = len(self._shards), rows
                facts[at[rows]] = index["facts"][rows]
                self._shards.append(shard)
        return np.flatnonzero(self._place[:, 0] == _NOWHERE).tolist()

    def _fill(
        self,
        store: PixelStore,
        decoded: Iterable[tuple[int, Decoded]],
        count: int,
        facts: NDArray[Any],
        reasons: dict[int, str],
    ) -> None:
        """Write what was decoded, a shard at a time, and note where it is."""
        rows = min(store.rows, count)
        index, pixels = np.zeros(rows, INDEX), np.empty((rows, *store.shape), np.uint8)
        numbers: list[int] = []
        for number, image in decoded:
            _note(number, image, facts, reasons)
            if not isinstance(image, str):
                index[len(numbers)] = (self._digests[number], image[0])
                pixels[len(numbers)] = image[1].transpose(2, 0, 1)
                numbers.append(number)
            if len(numbers) == rows:
                self._write(store, index, pixels, numbers)
                numbers.clear()
        if numbers:
            self._write(store, index[: len(numbers)], pixels[: len(numbers)], numbers)

    def _write(self, store: PixelStore, index: NDArray[Any], pixels: NDArray[np.uint8], numbers: list[int]) -> None:
        shard = store.add(index, pixels)
        self._place[numbers, 0], self._place[numbers, 1] = len(self._shards), np.arange(len(numbers))
        self._shards.append(shard)

    def _decoded(
        self, first: NDArray[np.intp], numbers: Iterable[int], check: bool = False
    ) -> Iterator[tuple[int, Decoded]]:
        """Yield each content's number with what decoding its first file gave, in the order of the numbers."""

        def decode_one(number: int) -> tuple[int, Decoded]:
            digest = bytes(self._digests[number]).ljust(32, b"\0") if check else None  # numpy cuts zeros at the end
            return number, _decode(self._paths[first[number]], self._image, digest)

        # Each decoding silences warnings for itself, and those in threads undo each other: this guard holds for all.
        with warnings.catch_warnings(action="ignore"):
            yield from _in_threads(decode_one, numbers)


def _decode(path: Path, image: ImageSpec, digest: bytes | None) -> Decoded:
    """Decode one file; a `digest` that is not that of its bytes refuses them, lest other pixels are kept under it."""
    try:
        data = path.read_bytes()
        if digest is not None and hashlib.sha256(data).digest() != digest:
            return "it was changed while it was read: start again"
        pixels = decode(data, image.bit_depth)
        return measure(path, pixels), resize(pixels, image)
    except ImageError as error:
        return str(error).removeprefix("picture in memory: ")
    except OSError as error:
        return error.strerror or str(error)


def _note(number: int, decoded: Decoded, facts: NDArray[Any], reasons: dict[int, str]) -> None:
    if isinstance(decoded, str):
        reasons[number] = decoded
    else:
        facts[number] = decoded[0]


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
        for item in items:
            waiting.append(threads.submit(function, item))
            if len(waiting) >= 4 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
