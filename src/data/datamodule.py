"""From the index of a source to batches; a new source subclasses `ImageData` and implements `read`."""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Unpack

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from ..edge.unread import describe
from .broken import STOPPING, require_readable, sort_out
from .dataset import ImageDataset, Item
from .dataset_index import SPLITS, DatasetIndex, Sample, inside
from .label_columns import names_of
from .options import DataOptions
from .quality.collection import Collection
from .quality.duplicates import Duplicates
from .quality.label_errors import NOT_LOOKED_FOR, LabelCheck
from .sampler import EpochSampler
from .selection import STAGES, Selection
from .targets import soft_targets, targets, weights

log = logging.getLogger(__name__)


class ImageData(LightningDataModule, ABC):
    """Data module for the images of one source.

    Attributes:
        image: How a picture becomes the network's input, overrides included.
        classes: Class names in the order of the target index (from `setup` on, like what follows).
        positive: The class that counts as the defect, or None; None too where they are judged.
        fingerprint: Hash of the whole index.
        counts: Number of images used, by split and class, or range of values.
        left_out: Images that cannot be read, and other files and folders that are not used, each with the reason.
        allow: Findings of the data gate that stop no training.
        cache: Folder for what is worth keeping between runs, or None.
        augment: Random change of the training images; another one holds from the next `train_dataloader` on.
    """

    classes: tuple[str, ...]
    positive: str | None
    fingerprint: str
    counts: dict[str, dict[str, int]]
    left_out: list[tuple[Path, str]]
    _used: Selection

    def __init__(self, **options: Unpack[DataOptions]) -> None:  # type: ignore[misc]  # a dataclass, for its defaults
        """Choose how the images are split and loaded.

        Args:
            options: As `DataOptions`, by keyword.

        Raises:
            ValueError: A value is out of range.
        """
        super().__init__()
        self._options = DataOptions(**options)
        self._splitting = self._options.splitting()
        self.image, self.augment = self._options.image_spec(), self._options.augment
        self.allow, self.cache = self._options.allowed(), self._options.cache()
        self._ready = False

    @abstractmethod
    def read(self) -> DatasetIndex:
        """List the source's images without decoding any, and refuse what no training could learn."""

    def read_lot(self) -> DatasetIndex:
        """List images to judge a finished model by: one class, one value, one image are enough."""
        return self.read()

    @cached_property
    def index(self) -> DatasetIndex:
        """All images of the source."""
        return self.read()

    def setup(self, stage: str = "fit") -> None:
        """Index, split and decode the images; later calls do nothing.

        Args:
            stage: `test` evaluates a finished model on the source's test split, or on all images where it has none.
                Any other stage cuts the splits. `audit` tolerates classes too small to split and broken images, so
                that the audit can show them.

        Raises:
            ValueError: The source is unusable, a class is too small, or an image is broken where that stops, or the
                cache cannot be written.
        """
        if self._ready:
            return
        judged = stage == "test"
        if judged:
            self.index = self.read_lot()
        self.classes, self.positive = self.index.classes, self.index.positive
        self.fingerprint = self.index.fingerprint
        if self.index.skipped:
            log.warning("%d files or folders are not used: %s", len(self.index.skipped), describe(self.index.skipped))
        self._used = Selection(self.index, self._splitting, self.image, self._options.limit, self.cache)
        STAGES.get(stage, Selection.for_training)(self._used)
        samples, errors = self._used.samples, self._used.pixels.errors
        self.left_out = sort_out(samples, errors, "skip" if stage == "audit" else self._options.on_error)
        self.left_out += self.index.skipped
        if stage != "audit":  # which shows broken images instead
            require_readable(samples, errors, each=not judged)
        self._positions = {
            name: [i for i, sample in enumerate(samples) if sample.split == name and i not in errors] for name in SPLITS
        }
        shown = [name for name in SPLITS if name != "calibration" or self._positions[name]]  # most have none
        self.counts = {name: self._count(name) for name in shown}
        self._ready = True

    @property
    def membership(self) -> str:
        """SHA-256 over the images in use, each with its split: equal splits, equal on any machine."""
        rows = sorted(f"{inside(each.path, self.index.root)}={each.split}" for each in self._used.samples)
        return hashlib.sha256("\n".join(rows).encode(errors="surrogateescape")).hexdigest()

    def contents(self, split: str) -> dict[str, Path]:
        """Return the SHA-256 of every image of a split, without the broken ones, and where one of that content is."""
        return {self._used.digests[position]: self._used.paths[position] for position in self._positions[split]}

    def keep_splits(self) -> None:
        """Write the splits into `split_file`, if there is one, so that they hold from now on.

        Raises:
            ValueError: As `write_membership`.
        """
        if self._options.limit is None:
            self._splitting.keep(self.index, [str(sample.split) for sample in self._used.samples])

    @property
    def digests(self) -> list[str]:
        """SHA-256 of every image in use."""
        return self._used.digests

    @property
    def duplicates(self) -> Duplicates:
        """What of the images in use is there more than once."""
        return self._used.duplicates

    def collection(self, labels: LabelCheck = NOT_LOOKED_FOR) -> Collection:
        """Return what the data gate looks at, after `setup`; `labels` is what came of examining them."""
        used, pixels = self._used, self._used.pixels
        return Collection(
            used.samples,
            self.index.categories,
            min(self.image.size),
            pixels.image_stats,
            pixels.errors,
            used.duplicates,
            used.parted,
            used.uncut,
            labels,
            STOPPING[self._options.on_error],
            self.index.skipped,
            self.index.ignored,
            self.image.bit_depth,
        )

    def units(self) -> list[int]:
        """Return the unit of each image in use: images of one group, and copies, share a number and a split."""
        return self._used.units()

    def pixels(self, positions: Sequence[int]) -> Iterator[Tensor]:
        """Yield batches of images in use (N x 3 x H x W, uint8), by their positions."""
        for start in range(0, len(positions), self._options.batch_size):
            chosen = positions[start : start + self._options.batch_size]
            yield torch.stack([self._used.pixels[position] for position in chosen])

    def positions(self, split: str) -> list[int]:
        """Return where the images of a split are among those in use, in the order of `samples`."""
        return list(self._positions[split])

    def samples(self, split: str) -> list[Sample]:
        """Return the images of a split in the order of the index, without the broken ones."""
        return [self._used.samples[position] for position in self._positions[split]]

    def train_dataloader(self) -> DataLoader[Item]:
        """Return shuffled, augmented batches; a last one that is not full is dropped unless it is the only one.

        Targets are class indices, or the probability of every class where the source knows that of some image; labels
        (N x classes, 0 or 1) or values (N x 1) where the source gives those. With `weights`, they come last in a batch.
        """
        positions, truths = self._positions["train"], soft_targets(self.samples("train"), self.classes)
        dataset = ImageDataset(self._used.pixels, positions, truths, self.augment, self._options.seed, self.weights())
        # Balanced by `label` also where it stands for several labels or a range of values.
        labels = [sample.label for sample in self.samples("train")] if self._options.balanced else None
        sampler = EpochSampler(len(dataset), self._options.seed, labels)
        return self._load(dataset, sampler, drop_last=len(dataset) > self._options.batch_size)

    def weights(self) -> Tensor | None:
        """Return how much each image of train counts (float32, mean 1), or None where all count the same."""
        return weights(self.samples("train"))

    def val_dataloader(self) -> DataLoader[Item]:
        """Return the batches of val."""
        return self.loader("val")

    def test_dataloader(self) -> DataLoader[Item]:
        """Return the batches of test."""
        return self.loader("test")

    def loader(self, split: str) -> DataLoader[Item]:
        """Return the batches of a split without augmentation, in the order of `samples(split)`."""
        return self._load(
            ImageDataset(self._used.pixels, self._positions[split], targets(self.samples(split), self.classes))
        )

    def _count(self, split: str) -> dict[str, int]:
        found = Counter(name for sample in self.samples(split) for name in names_of(sample))
        names = self.index.categories if self.index.target == "value" else self.classes
        return {name: found[name] for name in names}

    def _load(
        self, dataset: ImageDataset, sampler: EpochSampler | None = None, drop_last: bool = False
    ) -> DataLoader[Item]:
        return DataLoader(
            dataset,
            batch_size=self._options.batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self._options.num_workers,
            persistent_workers=self._options.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else each pass takes a number from the one that dropout draws from
        )
