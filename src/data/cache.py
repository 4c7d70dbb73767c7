"""Decoded and resized images: on the disk, once for all runs, or decoded anew at every access."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import Tensor

from ..edge.preprocess import ImageError, load
from ..spec import ImageSpec
from .contents import NOWHERE, Contents
from .store import PixelStore

log = logging.getLogger(__name__)


class PixelCache:
    """Pixels of a set of images, with the decoding error or the statistics of each.

    Only statistics are held in memory; pixels are read from the disk at each access.

    Attributes:
        errors: Why an image cannot be used, by its position; from `fill` on.
        image_stats: One record of `IMAGE_STATS` for each image, zeros where it is broken; from `fill` on.
    """

    errors: dict[int, str]
    image_stats: NDArray[Any]

    def __init__(
        self, paths: Sequence[Path], digests: Sequence[str], image: ImageSpec, folder: Path | None = None
    ) -> None:
        """Bind the images; nothing is read or written before `fill`.

        Args:
            paths: The image files.
            digests: SHA-256 of each file in hexadecimal, as in `DatasetIndex.digests`.
            image: How they become the network's input.
            folder: The cache, made when it is not there; None keeps no pixels and decodes at every access.
        """
        self._paths, self._digests, self._image, self._folder = paths, digests, image, folder
        self._warned = False

    def fill(self) -> Self:
        """Find the images in the cache, decode those that are not there, and return the cache.

        Raises:
            ValueError: The cache cannot be written, or the disk is full.
        """
        contents = Contents(self._paths, self._digests)
        if self._folder is None:
            contents.measure(self._image)
        else:
            contents.find_or_fill(PixelStore(self._folder, self._image), self._image)
        self._shards, self._places = contents.shards, contents.place[contents.of]
        self.image_stats = contents.image_stats[contents.of]
        reasons = contents.reasons
        self.errors = {at: reasons[number] for at, number in enumerate(contents.of.tolist()) if number in reasons}
        return self

    def __getitem__(self, position: int) -> Tensor:
        """Return a copy of the pixels, 3 x H x W, uint8.

        Raises:
            ImageError: The image is broken.
        """
        if position in self.errors:
            raise ImageError(f"{self._paths[position]}: {self.errors[position]}")
        shard, row = self._places[position]
        if shard != NOWHERE:
            try:
                return self._shards[int(shard)].row(int(row))
            # A cache may be deleted at any time: that costs time, and must not end a training.
            except (OSError, ValueError) as error:  # removed or cut while this run goes on
                if not self._warned:
                    log.warning("pixels are not in the cache any more (%s): files are decoded again", error)
                self._warned = True
        pixels = load(self._paths[position], self._image)
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
