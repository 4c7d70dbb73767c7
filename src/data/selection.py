"""The images of a run: which of the source are used, their splits, pixels and duplicates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from ..edge.preprocess import decode
from ..errors import TooFewImages
from ..spec import ImageSpec
from .cache import PixelCache
from .dataset_index import DatasetIndex, Sample
from .quality.duplicates import Duplicates, find_duplicates
from .splits import together
from .splitting import Splitting
from .subset import require_cells, subset, without_parted


class Selection:
    """The images that a run uses.

    Attributes:
        samples: The images, each with its split; broken ones are among them.
        paths: Their files.
        digests: SHA-256 of each.
        pixels: Their pixels, and why some cannot be read.
        parted: Number of near-duplicate pairs that a cut without duplicate detection would separate.
        uncut: Why the splits cannot be cut; images without a split in the source then have none. Else empty.
    """

    samples: list[Sample]
    paths: list[Path]
    digests: list[str]
    pixels: PixelCache

    def __init__(
        self, index: DatasetIndex, splitting: Splitting, image: ImageSpec, limit: int | None, cache: Path | None
    ) -> None:
        """Bind source and settings; `for_training`, `for_audit` or `for_judging` select and decode.

        Args:
            index: All images of the source.
            splitting: How splits are cut.
            image: How a picture becomes the network's input.
            limit: Use only so many images; None takes all.
            cache: Folder for what is worth keeping between runs, or None.
        """
        self._index, self._splitting, self._image = index, splitting, image
        self._limit, self._cache = limit, cache
        self.parted, self.uncut = 0, ""

    @cached_property
    def duplicates(self) -> Duplicates:
        """What of the images is there more than once."""
        return find_duplicates(
            self.digests,
            self.pixels.image_stats["hash"],
            [position not in self.pixels.errors for position in range(len(self.digests))],
            lambda position: decode(self.paths[position], self._image.bit_depth),
            self._image.bit_depth,
            self._cache,
        )

    def units(self) -> list[int]:
        """Return a number for each image; those with one number belong together (a group, copies)."""
        numbers = [0] * len(self.samples)
        joined = together(self.samples, self.digests, range(len(self.samples)), self.duplicates.near)
        for number, unit in enumerate(joined):
            for position in unit:
                numbers[position] = number
        return numbers

    def for_training(self) -> None:
        """Cut the splits; near duplicates stay in one split.

        Raises:
            ValueError: As `Splitting.names`, or the cache cannot be written.
        """
        if self._limit is not None:
            self._take_subset(self._limit)
            return
        index = self._index
        self._read(index.samples)
        near = self.duplicates.near
        names = self._splitting.names(index, near)
        # What the gate reports: how many leaks duplicate detection has prevented.
        blind = self._splitting.names(index) if near else names
        self.parted = sum(blind[one] != blind[two] and names[one] == names[two] for one, two in near)
        self.samples = _with_splits(index.samples, names)

    def for_audit(self) -> None:
        """Cut the splits, or leave them as the source has them where no others can be cut."""
        try:
            self.for_training()
        except TooFewImages as error:
            self.uncut = str(error)
            self._read(self._limit_images(list(self._index.samples)))

    def for_judging(self) -> None:
        """Select what a finished model is evaluated on: the test split of the source, or all images where it has none.

        Raises:
            ValueError: Splits would be cut, or the cache cannot be written.
        """
        if self._splitting.fold is not None or self._splitting.file is not None:
            raise ValueError(
                "data.folds and data.split_file cut splits, and of images that the model was not trained on all are "
                "judged: leave them out"
            )
        given = [sample for sample in self._index.samples if sample.split == "test"]
        self._read(self._limit_images([replace(sample, split="test") for sample in given or self._index.samples]))

    def _take_subset(self, limit: int) -> None:
        """Read the images of a quick run only, and drop near duplicates across splits.

        Duplicates are known only for images that were decoded, so they cannot guide the cut as in a full run.
        """
        given = self._index.samples
        named = _with_splits(given, self._splitting.names(self._index))
        free = {sample.path for sample, own in zip(named, given, strict=True) if sample.split != own.split}
        # Dropping an image may show other pairs of its copies, so repeat until nothing is dropped.
        drawn = rest = self._limit_images(named)
        self._read(drawn)
        while len(rest := without_parted(rest, self.duplicates.near + self.duplicates.exact, free)) < len(self.samples):
            self._read(rest)
        require_cells(drawn, rest, limit)

    def _limit_images(self, samples: list[Sample]) -> list[Sample]:
        if self._limit is None:
            return samples
        kept = subset(samples, self._index.root, self._limit, seed=self._splitting.seed)
        return [samples[position] for position in kept]

    def _read(self, samples: Sequence[Sample]) -> None:
        """Select these images, and decode those that are not in the cache."""
        self.__dict__.pop("duplicates", None)  # those of the images before
        self.samples = list(samples)
        of = dict(zip((sample.path for sample in self._index.samples), self._index.digests, strict=True))
        self.paths = [sample.path for sample in samples]
        self.digests = [of[path] for path in self.paths]
        self.pixels = PixelCache(self.paths, self.digests, self._image, self._cache).fill()


def _with_splits(samples: Sequence[Sample], names: Sequence[str]) -> list[Sample]:
    return [replace(sample, split=name) for sample, name in zip(samples, names, strict=True)]


STAGES: dict[str, Callable[[Selection], None]] = {
    "fit": Selection.for_training,
    "audit": Selection.for_audit,
    "test": Selection.for_judging,
}
