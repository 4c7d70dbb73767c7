"""Synthetic seedlings: plants of four species that Graft draws itself, for a first training without a network."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from ..atomic import write_bytes
from .datamodule import ImageData
from .dataset_index import DatasetIndex, Sample
from .plants import SPECIES, draw_litter, draw_plant
from .soil import draw_soil, draw_tray, expose

log = logging.getLogger(__name__)

SIZES = (128, 192)  # smallest and largest picture, in pixels
PER_TRAY = 2  # pictures of each species in a tray
VERSION = 1  # counted up when the same seed gives other pictures
LICENCE = "Apache-2.0, drawn by Graft"
NOTES = (
    "The plants are synthetic: drawn by a program, not photographed; the figures say nothing about real crops.",
    "Pictures of one tray share soil, light and camera, and stay in one split.",
)


class SeedlingsData(ImageData):
    """Synthetic plants from above, `grass`, `lanceolate`, `lobed` and `rosette`: 128 to 192 pixels, in trays.

    The pictures are drawn where they are missing, the same for the same seed and version of Pillow.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] = "data/seedlings",
        count: int = 60,
        drawing_seed: int = 0,
        **options: Any,
    ) -> None:
        """Choose what is drawn.

        Args:
            root: Where the pictures are written, in a folder for each count and seed.
            count: Pictures of each species.
            drawing_seed: Decides every picture.
            options: As `DataOptions`, by keyword.

        Raises:
            ValueError: There would be fewer than three trays, one for each split.
        """
        super().__init__(**options)
        if count <= 2 * PER_TRAY:
            raise ValueError(
                f"data.count={count} is too few for three trays: draw {2 * PER_TRAY + 1} or more a species"
            )
        self._number, self._drawing_seed = count, drawing_seed
        self.root = Path(root).expanduser() / f"v{VERSION}-seed{drawing_seed}-{count}"

    def read(self) -> DatasetIndex:
        """Draw the pictures that are missing, and list all."""
        samples, missing = [], []
        for index, species in enumerate(SPECIES):
            for number in range(self._number):
                tray = number // PER_TRAY
                path = self.root / species / f"tray{tray:03}-{number % PER_TRAY}.jpg"
                samples.append(Sample(path, species, group=f"tray{tray:03}"))
                if not path.is_file():
                    missing.append((path, (self._drawing_seed, tray, index, number)))
        if missing:
            log.info("drawing %d synthetic seedlings into %s", len(missing), self.root)
        for path, key in missing:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, draw(*key))
        return DatasetIndex("seedlings (synthetic)", self.root, tuple(samples), tuple(SPECIES), None, LICENCE, NOTES)


def draw(seed: int, tray: int, species: int, number: int) -> bytes:
    """Return a picture as a JPEG file; a function of its arguments and of Pillow's version alone.

    Args:
        seed: Decides everything.
        tray: Number of the tray, whose soil, light and camera the picture shows.
        species: Position in `SPECIES`.
        number: Number of the picture within its species.
    """
    common = draw_tray(np.random.default_rng((seed, tray)))
    random = np.random.default_rng((seed, tray, species, number))
    size = int(random.integers(SIZES[0], SIZES[1] + 1))
    ground = Image.fromarray((draw_soil(common, size, random) * 255).astype(np.uint8))
    picture = draw_plant(draw_litter(ground, random), list(SPECIES)[species], random)
    picture = picture.filter(ImageFilter.GaussianBlur(common.blur))
    lit = expose(np.asarray(picture, dtype=np.float64) / 255, common, random)
    encoded = io.BytesIO()
    Image.fromarray((lit * 255).round().astype(np.uint8)).save(encoded, "JPEG", quality=92)
    return encoded.getvalue()
