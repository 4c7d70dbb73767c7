"""Decoded and resized images in memory."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from src.edge.preprocess import ImageError, load
from src.spec import ImageSpec

log = logging.getLogger(__name__)


class PixelCache:
    """Read every image once, know which ones are broken, and keep the pixels when all of them fit.

    Attributes:
        errors: Why an image cannot be used, by its position.
    """

    def __init__(self, paths: Sequence[Path], image: ImageSpec, budget_mib: int = 1024) -> None:
        """Read the images.

        Args:
            paths: The image files.
            image: How they become the network's input.
            budget_mib: Memory that the pixels may take; above it every access reads the file again.
        """
        shape = (len(paths), 3, *image.size)
        self._paths, self._image = paths, image
        self._store = torch.empty(shape, dtype=torch.uint8) if math.prod(shape) <= budget_mib * 2**20 else None
        log.info("reading %d images, %s in memory", len(paths), "not kept" if self._store is None else "kept")
        # Each decoding silences warnings for itself, and those in threads undo each other: this guard holds for all.
        with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor() as threads:
            reasons = list(threads.map(self._keep, range(len(paths))))
        self.errors = {position: reason for position, reason in enumerate(reasons) if reason is not None}

    def __getitem__(self, position: int) -> Tensor:
        """Return a copy of the pixels, 3 x H x W, uint8.

        Raises:
            ImageError: The image is broken.
        """
        if self._store is None or position in self.errors:
            return self._load(position)
        return self._store[position].clone()

    def _keep(self, position: int) -> str | None:
        try:
            pixels = self._load(position)
        except ImageError as error:
            return str(error).removeprefix(f"{self._paths[position]}: ")
        if self._store is not None:
            self._store[position] = pixels
        return None

    def _load(self, position: int) -> Tensor:
        return torch.from_numpy(load(self._paths[position], self._image)).permute(2, 0, 1).contiguous()
