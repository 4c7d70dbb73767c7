"""The index of a source: its images with labels and splits, before any is decoded."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..edge.walk import Skip
from ..kinds import Truth
from ..spec import JOINT
from .naming import nfc

SPLITS = ("train", "val", "test", "calibration")


@dataclass(frozen=True)
class Sample:
    """One image file and what is known of it.

    Attributes:
        path: The image file.
        label: Name of its class; where there are several labels the rarest of them, where there is a value its range:
            what the splits keep in proportion.
        split: One of `SPLITS`, or None while that is open.
        stratum: What the splits keep in proportion within a class (a product variant, a level of confidence).
        group: Images of one group never part (one tomato on many days, one module of many cells).
        soft: Probability of each class, in the order of `DatasetIndex.classes`, where the label is not certain: what
            training aims at. Scores count `label` alone.
        weight: How much it counts in the training's loss, relative to 1.
        labels: All its labels, in the order of `DatasetIndex.classes`, where it may have several or none.
        value: The number to be learnt, where that is what the source gives.
    """

    path: Path
    label: str
    split: str | None = None
    stratum: str | None = None
    group: str | None = None
    soft: tuple[float, ...] | None = None
    weight: float = 1.0
    labels: tuple[str, ...] | None = None
    value: float | None = None

    @property
    def truth(self) -> str:
        """What is to be learnt, as text: the class, the labels joined by `JOINT`, or the value."""
        if self.value is not None:
            return repr(self.value)
        return self.label if self.labels is None else JOINT.join(self.labels)


@dataclass(frozen=True)
class DatasetIndex:
    """All images of a source.

    Attributes:
        name: Short name of the source.
        root: Folder that every path lies in.
        samples: The images.
        classes: Class names in the order of the target index; the quantity's name alone where samples have a value.
        positive: The class that counts as the defect; None with more than two classes.
        licence: Licence of the images, empty when unknown.
        notes: What a reader of the results has to know, one sentence each.
        ordered: Whether the order of the classes means something, as grades need; else it is that of their names.
        skipped: Files and folders that are there and not used, each with the reason.
        ignored: How many other files there are: hidden ones, and those that are no images.
    """

    name: str
    root: Path
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    positive: str | None
    licence: str = ""
    notes: tuple[str, ...] = ()
    ordered: bool = False
    skipped: tuple[Skip, ...] = ()
    ignored: int = 0

    @property
    def target(self) -> Truth:
        """What the samples say: one `label`, several `labels` or a `value`."""
        first = self.samples[0]
        return "value" if first.value is not None else "label" if first.labels is None else "labels"

    @property
    def categories(self) -> tuple[str, ...]:
        """Every label that a sample has, in order: the classes, or what stands for several labels or a value."""
        if self.target == "value":
            return tuple(dict.fromkeys(each.label for each in sorted(self.samples, key=lambda each: each.value or 0.0)))
        present = {sample.label for sample in self.samples}
        return self.classes + tuple(sorted(present - set(self.classes)))

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of every file in the order of `samples`; the path inside `root` stands in for an unreadable one."""
        # Reading the files takes most of the time, and hashing releases the interpreter lock.
        with ThreadPoolExecutor() as threads:
            return tuple(threads.map(self._digest, self.samples))

    @cached_property
    def inside(self) -> tuple[str, ...]:
        """Path of every image inside `root`, with forward slashes."""
        return tuple(self._inside(sample) for sample in self.samples)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over paths inside `root`, labels, given splits and contents: equal data, equal on any machine."""
        rows = zip(self.samples, self.digests, strict=True)
        lines = sorted(repr(self._row(item, digest)) for item, digest in rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _row(self, sample: Sample, digest: str) -> tuple[object, ...]:
        known = (self._inside(sample), sample.truth, sample.split, sample.soft, digest)
        # Without the weight of 1, so that fingerprints from before weights stay valid.
        return known if sample.weight == 1 else (*known, sample.weight)

    def _digest(self, sample: Sample) -> str:
        try:
            with sample.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return self._inside(sample)

    def _inside(self, sample: Sample) -> str:
        return inside(sample.path, self.root)


def inside(path: Path, root: Path) -> str:
    """Return a path inside its root, with forward slashes and in one Unicode form: the same on any machine."""
    return nfc(path.relative_to(root).as_posix())
