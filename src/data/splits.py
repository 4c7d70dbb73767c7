"""Cut a listing into train, val and test, the same way on every machine."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from src.data.listing import SPLITS, Sample

Unit = list[int]  # positions of images that stay together
Rank = Callable[[int], tuple[str, str, str]]  # sort key of a position
T = TypeVar("T")


def split(
    samples: Sequence[Sample],
    digests: Sequence[str],
    root: Path,
    *,
    seed: int = 0,
    val_fraction: float = 0.15,
    test_fraction: float = 0.25,
) -> list[str]:
    """Give every image its split.

    Splits that some sample already names are kept as they are; the missing ones are cut from the rest. Classes and
    their strata keep their proportions within one image. Images of one group, and files with equal content, stay
    together; then the proportions are only near. What decides is the path inside the root: neither the order of the
    samples nor the place of the root.

    Args:
        samples: The images.
        digests: Hash of every file's content, as `Listing.digests`.
        root: Folder that every path lies in.
        seed: Decides which images go where.
        val_fraction: Part of what is left after the test split.
        test_fraction: Part of all images that no split is given for.

    Returns:
        `train`, `val` or `test` for every sample.

    Raises:
        ValueError: A fraction is not between 0 and 1, or a class is too small for the splits.
    """
    rank = _ranking(samples, root, seed)
    given = {sample.split for sample in samples}
    assigned = [sample.split or "train" for sample in samples]
    for name, fraction in (("test", test_fraction), ("val", val_fraction)):
        if not 0 < fraction < 1:
            raise ValueError(f"{name}_fraction must be above 0 and below 1, not {fraction}")
        if name not in given:
            pool = [position for position, split in enumerate(assigned) if split == "train"]
            for position in _cut(samples, _units(samples, digests, pool), fraction, rank):
                assigned[position] = name
    _check(samples, assigned, [name for name in SPLITS if name == "train" or name not in given])
    return assigned


def subset(samples: Sequence[Sample], root: Path, limit: int, *, seed: int = 0) -> list[int]:
    """Choose `limit` images that keep every class in each of its splits.

    Args:
        samples: Images with their split.
        root: Folder that every path lies in.
        limit: How many images to keep.
        seed: Decides which.

    Returns:
        Positions of the kept images, ascending.

    Raises:
        ValueError: The limit is smaller than the number of classes in all splits.
    """
    rank = _ranking(samples, root, seed)
    order = sorted(range(len(samples)), key=lambda position: (str(samples[position].split), rank(position)))
    cells: dict[tuple[str | None, str], int] = {}
    for position in order:
        cells.setdefault((samples[position].split, samples[position].label), position)
    if limit < len(cells):
        raise ValueError(f"limit={limit} is too few to keep every class in each split: give {len(cells)} or more")
    first = set(cells.values())
    rest = [[position] for position in order if position not in first]
    wanted = min(1.0, (limit - len(first)) / max(1, len(rest)))
    return sorted([*first, *(position for unit in _draw(rest, wanted) for position in unit)])


def _cut(samples: Sequence[Sample], units: Iterable[Unit], fraction: float, rank: Rank) -> Iterable[int]:
    """Yield the positions of the units that leave their class for the new split."""
    units = sorted((sorted(unit, key=rank) for unit in units), key=lambda unit: rank(unit[0]))
    labels = [_most_common(samples[position].label for position in unit) for unit in units]
    for label in sorted(set(labels)):
        own = [unit for unit, unit_label in zip(units, labels, strict=True) if unit_label == label]
        for unit in _draw(own, fraction) or [min(own, key=len)]:
            yield from unit


def _draw(units: list[Unit], fraction: float) -> list[Unit]:
    """Draw units along their order so that every run of it gives up its fraction of images, to the nearest unit."""
    drawn, seen, taken = [], 0, 0
    for unit in units:
        seen += len(unit)
        if fraction * seen - taken >= len(unit) / 2:
            drawn.append(unit)
            taken += len(unit)
    return drawn


def _ranking(samples: Sequence[Sample], root: Path, seed: int) -> Rank:
    """Return the sort key of a position: by class, by stratum, then shuffled."""

    def rank(position: int) -> tuple[str, str, str]:
        sample = samples[position]
        inside = sample.path.relative_to(root).as_posix()
        return sample.label, sample.stratum or "", hashlib.sha256(f"{seed}/{inside}".encode()).hexdigest()

    return rank


def _units(samples: Sequence[Sample], digests: Sequence[str], pool: list[int]) -> list[Unit]:
    """Join the positions of the pool that share a group or a content, also through others."""
    units: dict[int, Unit] = {}
    home: dict[int, int] = {}
    known: dict[tuple[str, str], int] = {}
    for position in pool:
        units[position], home[position] = [position], position
        group = samples[position].group
        for key in [("content", digests[position])] + ([("group", group)] if group is not None else []):
            left, right = home[known.setdefault(key, position)], home[position]
            if left != right:
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
            raise ValueError(
                f"class {label!r} has {total[label]} images, too few to give one to {' and '.join(missing)} "
                "(copies and groups stay together): add images of it or leave the class out"
            )
