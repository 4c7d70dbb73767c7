"""From a source's listing to batches; a new source subclasses `ImageData` and says what it lists."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Required, TypedDict

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from src.data.cache import PixelCache
from src.data.dataset import ImageDataset, Item, Target
from src.data.listing import SPLITS, Listing, Sample
from src.data.sampler import EpochSampler
from src.data.splits import split, subset
from src.data.transforms import Augment, none
from src.spec import ImageSpec

log = logging.getLogger(__name__)

OnError = Literal["auto", "skip", "stop"]
_PLAIN = none()
_STOPS: dict[str, tuple[str, ...]] = {"auto": ("val", "test"), "skip": (), "stop": SPLITS}


class Loading(TypedDict, total=False):
    """Options that every source shares; `ImageData` explains them and holds the defaults."""

    image: Required[ImageSpec]
    image_size: int | None
    crop_pct: float | None
    crop_mode: str | None
    bit_depth: int | None
    batch_size: int
    num_workers: int
    split_seed: int
    seed: int
    limit: int | None
    on_error: OnError
    augment: Augment
    val_fraction: float
    test_fraction: float
    cache_dir: str | None


class ImageData(LightningDataModule, ABC):
    """Images of one source, split and loaded.

    Attributes:
        image: How a picture becomes the network's input, overrides included.
        listing: All images of the source (from `setup` on, like what follows).
        classes: Class names in the order of the target index.
        positive: The class that counts as the defect, or None.
        fingerprint: Hash of the whole listing.
        counts: Number of images used, by split and class.
        left_out: Images that cannot be read, each with the reason.
    """

    listing: Listing
    classes: tuple[str, ...]
    positive: str | None
    fingerprint: str
    counts: dict[str, dict[str, int]]
    left_out: list[tuple[Path, str]]

    def __init__(
        self,
        *,
        image: ImageSpec,
        image_size: int | None = None,
        crop_pct: float | None = None,
        crop_mode: str | None = None,
        bit_depth: int | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        split_seed: int = 0,
        seed: int = 0,
        limit: int | None = None,
        on_error: OnError = "auto",
        augment: Augment = _PLAIN,
        val_fraction: float = 0.15,
        test_fraction: float = 0.25,
        cache_dir: str | None = None,
    ) -> None:
        """Choose how the images are split and loaded.

        Args:
            image: The backbone's input.
            image_size: Height and width in place of the backbone's, in pixels.
            crop_pct: Crop in place of the backbone's.
            crop_mode: Crop mode in place of the backbone's.
            bit_depth: What white is in grey of more than 8 bits, 2**bit_depth - 1, in place of the backbone's.
            batch_size: Images in a batch.
            num_workers: Processes that prepare batches; 0 prepares them in the main one.
            split_seed: Decides the splits.
            seed: Decides the order of training and the augmentation.
            limit: Use only so many images, for a quick run; every class stays in each split.
            on_error: What a broken image does. `auto` leaves it out of training and stops evaluation, `skip` leaves
                it out everywhere, `stop` stops everywhere.
            augment: Random change of training images, see `src.data.transforms`.
            val_fraction: Part of the images outside test that becomes val, where the source has no split.
            test_fraction: Part of the images that becomes test, where the source has no split.
            cache_dir: Folder for decoded images, which later runs share; None decodes them anew in every epoch.

        Raises:
            ValueError: A value is out of range.
        """
        super().__init__()
        if on_error not in _STOPS:
            raise ValueError(f"unknown on_error {on_error!r}: choose one of {', '.join(_STOPS)}")
        self.image = replace(
            image,
            size=image.size if image_size is None else (image_size, image_size),
            crop_pct=image.crop_pct if crop_pct is None else crop_pct,
            crop_mode=image.crop_mode if crop_mode is None else crop_mode,
            bit_depth=image.bit_depth if bit_depth is None else bit_depth,
        )
        self._batch_size, self._num_workers = batch_size, num_workers
        self._split_seed, self._seed, self._limit = split_seed, seed, limit
        self._on_error, self._augment = on_error, augment
        self._cache = None if cache_dir is None else Path(cache_dir)
        self._val_fraction, self._test_fraction = val_fraction, test_fraction
        self._samples: list[Sample] = []

    @abstractmethod
    def read(self) -> Listing:
        """List the source's images without decoding any."""

    def setup(self, stage: str = "fit") -> None:
        """List, split and read the images; the second call and later ones do nothing.

        Args:
            stage: `test` takes images to judge a finished model by: the source's own test split, or all of its images
                where it has none. Any other stage cuts the splits.

        Raises:
            ValueError: The source is unusable, a class is too small, or an image is broken where that stops, or the
                cache cannot be written.
        """
        if self._samples:
            return
        self.listing = self.read()
        self.classes, self.positive = self.listing.classes, self.listing.positive
        self.fingerprint = self.listing.fingerprint
        samples = self._judged() if stage == "test" else self._split()
        self._pixels = self._cached(samples)
        self.left_out = self._sort_out(samples)
        self._positions = {
            name: [i for i, sample in enumerate(samples) if sample.split == name and i not in self._pixels.errors]
            for name in SPLITS
        }
        self._samples = samples
        self.counts = {name: self._count(name) for name in SPLITS}

    def samples(self, split: str) -> list[Sample]:
        """Return the images of a split in the order of the listing, without the broken ones."""
        return [self._samples[position] for position in self._positions[split]]

    def train_dataloader(self) -> DataLoader[Item]:
        """Return shuffled, augmented batches; a last one that is not full is dropped unless it is the only one.

        Targets are class indices, or the probability of every class where the source knows that of some image. With
        `weights`, they come last in a batch.
        """
        positions, targets = self._positions["train"], self._soft_targets("train")
        dataset = ImageDataset(self._pixels, positions, targets, self._augment, self._seed, self.weights())
        sampler = EpochSampler(len(dataset), self._seed)
        return self._load(dataset, sampler, drop_last=len(dataset) > self._batch_size)

    def weights(self) -> Tensor | None:
        """Return how much each image of train counts (float32, mean 1), or None where all count the same."""
        given = torch.tensor([sample.weight for sample in self.samples("train")], dtype=torch.float64)
        return None if bool((given == given[:1]).all()) else (given / given.mean()).float()

    def val_dataloader(self) -> DataLoader[Item]:
        """Return the batches of val."""
        return self.loader("val")

    def test_dataloader(self) -> DataLoader[Item]:
        """Return the batches of test."""
        return self.loader("test")

    def loader(self, split: str) -> DataLoader[Item]:
        """Return the batches of a split without augmentation, in the order of `samples(split)`."""
        return self._load(ImageDataset(self._pixels, self._positions[split], self._targets(split)))

    def _split(self) -> list[Sample]:
        """Return the samples in use, each with its split."""
        samples, root = self.listing.samples, self.listing.root
        fractions = {"val_fraction": self._val_fraction, "test_fraction": self._test_fraction}
        names = split(samples, self.listing.digests, root, seed=self._split_seed, **fractions)
        return self._limited([replace(sample, split=name) for sample, name in zip(samples, names, strict=True)])

    def _judged(self) -> list[Sample]:
        """Return the samples that a finished model is judged by."""
        given = [sample for sample in self.listing.samples if sample.split == "test"]
        return self._limited([replace(sample, split="test") for sample in given or self.listing.samples])

    def _limited(self, samples: list[Sample]) -> list[Sample]:
        if self._limit is None:
            return samples
        kept = subset(samples, self.listing.root, self._limit, seed=self._split_seed)
        return [samples[position] for position in kept]

    def _cached(self, samples: list[Sample]) -> PixelCache:
        digests = dict(zip((sample.path for sample in self.listing.samples), self.listing.digests, strict=True))
        paths = [sample.path for sample in samples]
        return PixelCache(paths, [digests[path] for path in paths], self.image, self._cache)

    def _sort_out(self, samples: list[Sample]) -> list[tuple[Path, str]]:
        """Return the broken images, or stop where they must not be left out."""
        broken = [(samples[position], reason) for position, reason in self._pixels.errors.items()]
        stopping = [(sample, reason) for sample, reason in broken if sample.split in _STOPS[self._on_error]]
        if stopping:
            raise ValueError(f"{_told(stopping)}: repair or remove the files, or set data.on_error=skip")
        if broken:
            log.warning("%s: left out", _told(broken))
        lost = {_cell(sample) for sample in samples} - {
            _cell(sample) for position, sample in enumerate(samples) if position not in self._pixels.errors
        }
        if lost:
            raise ValueError(f"no image of {' and '.join(sorted(lost))} can be read; {_told(broken)}: repair the files")
        return [(sample.path, reason) for sample, reason in broken]

    def _count(self, split: str) -> dict[str, int]:
        found = Counter(sample.label for sample in self.samples(split))
        return {label: found[label] for label in self.classes}

    def _targets(self, split: str) -> list[int]:
        return [self.classes.index(sample.label) for sample in self.samples(split)]

    def _soft_targets(self, split: str) -> Sequence[Target]:
        targets, samples = self._targets(split), self.samples(split)
        if all(sample.soft is None for sample in samples):
            return targets
        certain = torch.eye(len(self.classes))
        return [
            certain[target] if sample.soft is None else torch.tensor(sample.soft)
            for target, sample in zip(targets, samples, strict=True)
        ]

    def _load(
        self, dataset: ImageDataset, sampler: EpochSampler | None = None, drop_last: bool = False
    ) -> DataLoader[Item]:
        return DataLoader(
            dataset,
            batch_size=self._batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self._num_workers,
            persistent_workers=self._num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else each pass takes a number from the one that dropout draws from
        )


def _cell(sample: Sample) -> str:
    return f"class {sample.label!r} in {sample.split}"


def _told(broken: list[tuple[Sample, str]]) -> str:
    """Return the number of broken images by split and the first names."""
    counts = Counter(str(sample.split) for sample, _ in broken)
    splits = " and ".join(f"{counts[name]} of {name}" for name in SPLITS if counts[name])
    names = "; ".join(f"{sample.path} ({reason})" for sample, reason in broken[:3])
    return f"images that cannot be read, {splits}: {names}{'; ...' if len(broken) > 3 else ''}"
