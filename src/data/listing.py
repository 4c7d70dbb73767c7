"""What a source knows of its images before any is decoded."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """One image file and what is known of it.

    Attributes:
        path: The image file.
        label: Name of its class.
        split: One of `SPLITS`, or None while that is open.
        stratum: What the splits keep in proportion within a class (a product variant, a level of confidence).
        group: Images of one group never part (one tomato on many days, one module of many cells).
        soft: Probability of each class, in the order of `Listing.classes`, where the label is not certain: what
            training aims at. Scores count `label` alone.
        weight: How much it counts in the training's loss, relative to 1.
    """

    path: Path
    label: str
    split: str | None = None
    stratum: str | None = None
    group: str | None = None
    soft: tuple[float, ...] | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Listing:
    """All images of a source.

    Attributes:
        name: Short name of the source.
        root: Folder that every path lies in.
        samples: The images.
        classes: Class names in the order of the target index.
        positive: The class that counts as the defect; None with more than two classes.
        licence: Licence of the images, empty when unknown.
        notes: What a reader of the results has to know, one sentence each.
    """

    name: str
    root: Path
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    positive: str | None
    licence: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of every file in the order of `samples`; the path inside `root` stands in for an unreadable one."""
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
        known = (self._inside(sample), sample.label, sample.split, sample.soft, digest)
        return known if sample.weight == 1 else (*known, sample.weight)

    def _digest(self, sample: Sample) -> str:
        try:
            with sample.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return self._inside(sample)

    def _inside(self, sample: Sample) -> str:
        return sample.path.relative_to(self.root).as_posix()
