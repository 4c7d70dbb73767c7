"""Input of the data gate: the images in use with their statistics, decoding errors and duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from ...edge.walk import Skip
from ..categories import NO_LABEL
from ..dataset_index import SPLITS, Sample
from ..label_columns import names_of
from .duplicates import Duplicates
from .label_errors import NOT_LOOKED_FOR, LabelCheck

OPEN = "no split"  # in place of the name of one


@dataclass(frozen=True)
class Collection:
    """Images with their splits, as a training would use them.

    Attributes:
        samples: The images, each with its split.
        classes: Every label that a sample has, in order.
        side: Smaller side of the network's input, in pixels.
        image_stats: One record of `IMAGE_STATS` for every image; zeros where it is broken.
        errors: Why an image cannot be read, by its position.
        duplicates: What is there more than once.
        parted: Number of near-duplicate pairs that a cut without duplicate detection would separate.
        uncut: Why the splits cannot be cut; images without a split in the source then have none. Else empty.
        labels: What came of examining the labels.
        needed: Splits in which no image may be broken, for a training to begin.
        skipped: Files and folders of the source that are not used, each with the reason.
        ignored: How many other files there are, hidden ones among them.
        bit_depth: White in deep grey pictures, as in `ImageSpec`.
    """

    samples: Sequence[Sample]
    classes: Sequence[str]
    side: int
    image_stats: NDArray[Any]
    errors: Mapping[int, str]
    duplicates: Duplicates
    parted: int = 0
    uncut: str = ""
    labels: LabelCheck = NOT_LOOKED_FOR
    needed: tuple[str, ...] = ()
    skipped: Sequence[Skip] = ()
    ignored: int = 0
    bit_depth: int = 16

    @cached_property
    def readable(self) -> list[int]:
        """Positions of the images that can be read."""
        return [position for position in range(len(self.samples)) if position not in self.errors]

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Number of readable images by class, then by split, or `OPEN`; one of several labels counts for each."""
        seen = [self.samples[position] for position in self.readable]
        found = Counter((name, sample.split or OPEN) for sample in seen for name in names_of(sample) or (NO_LABEL,))
        splits = [name for name in (*SPLITS, OPEN) if any(split == name for _, split in found)]
        return {label: {split: found[label, split] for split in splits} for label in self.classes}

    def across(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the pairs whose images are in unlike splits."""
        return [(left, right) for left, right in pairs if self.samples[left].split != self.samples[right].split]
