"""Cut an index into train, val, test and, where it is asked for, calibration, the same way on every machine."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import TooFewImages
from .dataset_index import SPLITS, Sample, inside

Unit = list[int]  # positions of images that stay together
Rank = Callable[[int], tuple[str, str, str]]  # sort key of a position
T = TypeVar("T")


@dataclass(frozen=True)
class Fold:
    """One fold of a cross-validation: which part of the images is the test split.

    Attributes:
        count: Number of folds.
        index: Which one, from 0.
    """

    count: int
    index: int

    def __post_init__(self) -> None:
        """Refuse a fold that is not there."""
        if self.count < 2:
            raise ValueError(f"data.folds={self.count}: give at least 2, or leave it out")
        if not 0 <= self.index < self.count:
            raise ValueError(f"data.fold={self.index}: with data.folds={self.count} give 0 to {self.count - 1}")


def split(
    samples: Sequence[Sample],
    digests: Sequence[str],
    root: Path,
    *,
    seed: int = 0,
    val_fraction: float = 0.15,
    test_fraction: float = 0.25,
    calibration_fraction: float = 0.0,
    fold: Fold | None = None,
    links: Sequence[tuple[int, int]] = (),
    kept: Mapping[int, str] | None = None,
) -> list[str]:
    """Give every image its split.

    Splits that some sample already names are kept as they are; the missing ones are cut from the rest. Classes and
    their strata keep their proportions within one image. Images of one group, files with equal content and linked
    images stay together; then the proportions are only near. What decides is the path inside the root: neither the
    order of the samples nor the place of the root.

    Args:
        samples: The images.
        digests: Hash of every file's content, as `DatasetIndex.digests`.
        root: Folder that every path lies in.
        seed: Decides which images go where.
        val_fraction: Part of what is left after test and calibration.
        test_fraction: Part of all images that no split is given for.
        calibration_fraction: Part of what is left after test; 0 cuts none.
        fold: The part that becomes the test split, in place of `test_fraction`.
        links: Pairs of positions that must not part, such as near duplicates.
        kept: Splits of an earlier cut by position: those images never move, and what belongs to one joins it.

    Returns:
        One of `SPLITS` for every sample.

    Raises:
        ValueError: A fraction is not between 0 and 1, a class is too small for the splits, or a fold is asked for
            although the source names its splits.
    """
    rank = ranking(samples, root, seed)
    given = {sample.split for sample in samples} - {None}
    if fold is not None and given:
        raise ValueError("data.folds cuts its own splits, and this source names them: leave them out, or data.folds")
    fixed = _fix_splits(samples, together(samples, digests, range(len(samples)), links), kept or {}, given, rank)
    assigned = [fixed.get(position, sample.split or "train") for position, sample in enumerate(samples)]
    fractions = {"test": test_fraction, "calibration": calibration_fraction, "val": val_fraction}
    _require_fractions(fractions)
    cut = [name for name, fraction in fractions.items() if fraction and name not in given]
    before: set[str] = set()
    for name, fraction in fractions.items():
        # Test is cut first: its fraction is one of all images, that of each other split one of the rest.
        if name in cut:
            pool = [position for position, split in enumerate(assigned) if split == "train" and position not in fixed]
            units = _order(together(samples, digests, pool, links), rank)
            if fold is not None and name == "test":
                chosen = _cut_fold(samples, units, fold)
            else:
                settled = [(samples[p].label, split == name) for p, split in fixed.items() if split not in before]
                chosen = _cut(samples, units, fraction, settled)
            for position in list(chosen):
                assigned[position] = name
        before.add(name)
    _check(samples, assigned, [name for name in SPLITS if name in ("train", *cut)])
    return assigned


def _require_fractions(fractions: Mapping[str, float]) -> None:
    for name, fraction in fractions.items():
        if not 0 < fraction < 1 and (name, fraction) != ("calibration", 0):
            least = "at least 0" if name == "calibration" else "above 0"
            raise ValueError(f"{name}_fraction must be {least} and below 1, not {fraction}")


def _fix_splits(
    samples: Sequence[Sample], units: Iterable[Unit], kept: Mapping[int, str], given: Set[str | None], rank: Rank
) -> dict[int, str]:
    """Return the splits that are decided before any is cut, by position.

    These are the splits of an earlier cut, and the split of every image whose unit (group, copies) has an image in
    another split than train. If such a split must be cut from train, train images may be reassigned, so a train image
    decides nothing for its unit. Where the source itself separates a unit, its train images stay in train.
    """
    fixed = dict(kept)
    for unit in units:
        named = [(rank(p), kept.get(p) or str(samples[p].split)) for p in unit if p in kept or _is_fixed(samples[p])]
        if named:
            decided = min(named)[1]
            for position in unit:
                if position not in kept and not _is_fixed(samples[position]):
                    stays = samples[position].split == "train" and decided in given
                    fixed[position] = "train" if stays else decided
    return fixed


def _is_fixed(sample: Sample) -> bool:
    return sample.split not in (None, "train")


def _cut(
    samples: Sequence[Sample], units: Sequence[Unit], fraction: float, settled: Sequence[tuple[str, bool]]
) -> Iterator[int]:
    """Yield the positions of the units that move from train to the new split.

    Args:
        samples: All images.
        units: Those that may move, in the order of drawing.
        fraction: Part of the images of each class to move.
        settled: Class of every image whose split is decided, and whether that is the new split.
    """
    for label, own in _by_label(samples, units):
        seen = sum(known == label for known, _ in settled)
        taken = sum(known == label and inside for known, inside in settled)
        # A small class must still be in the new split, even if its fraction rounds to no unit.
        for unit in draw(own, fraction, seen, taken) or ([] if taken else [min(own, key=len)]):
            yield from unit


def _cut_fold(samples: Sequence[Sample], units: Sequence[Unit], fold: Fold) -> Iterator[int]:
    """Yield the positions of one fold: each unit goes to the fold that has the fewest images of its class so far."""
    total = [0] * fold.count
    for _, own in _by_label(samples, units):
        # Ties go to the fold that is smallest over all classes, so that folds end up of one size.
        sizes = [0] * fold.count
        for unit in own:
            smallest = min(range(fold.count), key=lambda index: (sizes[index], total[index]))
            sizes[smallest] += len(unit)
            total[smallest] += len(unit)
            if smallest == fold.index:
                yield from unit


def _by_label(samples: Sequence[Sample], units: Sequence[Unit]) -> Iterator[tuple[str, list[Unit]]]:
    """Yield the units of every class, by its most common label."""
    labels = [_most_common(samples[position].label for position in unit) for unit in units]
    for label in sorted(set(labels)):
        yield label, [unit for unit, own in zip(units, labels, strict=True) if own == label]


def _order(units: Iterable[Unit], rank: Rank) -> list[Unit]:
    return sorted((sorted(unit, key=rank) for unit in units), key=lambda unit: rank(unit[0]))


def draw(units: list[Unit], fraction: float, seen: int = 0, taken: int = 0) -> list[Unit]:
    """Draw units in their order so that each prefix has its fraction of images drawn, to the nearest unit.

    Args:
        units: In the order of drawing.
        fraction: Part of the images to draw.
        seen: Number of images before these.
        taken: Number of those that were drawn.
    """
    drawn = []
    for unit in units:
        seen += len(unit)
        if fraction * seen - taken >= len(unit) / 2:
            drawn.append(unit)
            taken += len(unit)
    return drawn


def ranking(samples: Sequence[Sample], root: Path, seed: int) -> Rank:
    """Return the sort key of a position: by class, by stratum, then shuffled by the seed and the path in `root`."""

    def rank(position: int) -> tuple[str, str, str]:
        sample = samples[position]
        drawn = f"{seed}/{inside(sample.path, root)}".encode(errors="surrogateescape")  # a name may be no UTF-8
        return sample.label, sample.stratum or "", hashlib.sha256(drawn).hexdigest()

    return rank


def together(
    samples: Sequence[Sample], digests: Sequence[str], pool: Iterable[int], links: Sequence[tuple[int, int]]
) -> list[Unit]:
    """Return the connected components of the pool: positions that share a group, a content or a link."""
    units: dict[int, Unit] = {}
    home: dict[int, int] = {}
    known: dict[tuple[str, object], int] = {}
    linked: dict[int, list[tuple[str, object]]] = {}
    for link in links:
        for position in link:
            linked.setdefault(position, []).append(("link", link))
    for position in pool:
        units[position], home[position] = [position], position
        group = samples[position].group
        keys = [("content", digests[position]), *linked.get(position, ())]
        for key in keys + ([("group", group)] if group is not None else []):
            left, right = home[known.setdefault(key, position)], home[position]
            if left != right:  # merge two components; `home` is the key of each member's component
                for member in units[right]:
                    home[member] = left
                units[left] += units.pop(right)
    return list(units.values())


def _most_common(values: Iterable[T]) -> T:
    return Counter(values).most_common(1)[0][0]


def _check(samples: Sequence[Sample], assigned: Sequence[str], cut: Sequence[str]) -> None:
    """Refuse a class that is missing from one of the splits we are responsible for."""
    total = Counter(sample.label for sample in samples)
    counts = Counter((sample.label, split) for sample, split in zip(samples, assigned, strict=True))
    for label in sorted(total):
        missing = [name for name in cut if not counts[label, name]]
        if missing:
            raise TooFewImages(
                f"class {label!r} has {total[label]} images, too few to give one to {' and '.join(missing)} "
                "(copies and groups stay together): add images of it or leave the class out"
            )
