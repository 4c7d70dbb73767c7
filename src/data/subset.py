"""A subset of the images for a quick run: every class in each split, no duplicates across splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from pathlib import Path

from .dataset_index import Sample
from .splits import draw, ranking


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
    rank = ranking(samples, root, seed)
    order = sorted(range(len(samples)), key=lambda position: (str(samples[position].split), rank(position)))
    # The first image of each class in each split is kept in any case.
    cells: dict[tuple[str | None, str], int] = {}
    for position in order:
        cells.setdefault((samples[position].split, samples[position].label), position)
    if limit < len(cells):
        raise ValueError(f"limit={limit} is too few to keep every class in each split: give {len(cells)} or more")
    first = set(cells.values())
    rest = [[position] for position in order if position not in first]
    wanted = min(1.0, (limit - len(first)) / max(1, len(rest)))
    return sorted([*first, *(position for unit in draw(rest, wanted) for position in unit)])


def without_parted(samples: Sequence[Sample], pairs: Iterable[tuple[int, int]], free: Set[Path]) -> list[Sample]:
    """Drop one image of every duplicate pair across splits, preferably the second.

    The result may still hold such pairs: of several equal files only the first is paired with other pictures.

    Args:
        samples: Images with their split.
        pairs: Positions of equal pictures.
        free: Images that may be dropped; the splits of the others are given by the source.
    """
    dropped = set[Path]()
    for left, right in ((samples[one], samples[two]) for one, two in pairs):
        if left.split != right.split and not dropped & {left.path, right.path}:
            dropped |= {right.path if right.path in free else left.path} & free
    return [sample for sample in samples if sample.path not in dropped]


def require_cells(before: Sequence[Sample], after: Sequence[Sample], limit: int) -> None:
    """Refuse a quick run in which a class has lost its last image of a split.

    Raises:
        ValueError: There is such a class.
    """
    lost = {(sample.label, str(sample.split)) for sample in before} - {
        (sample.label, str(sample.split)) for sample in after
    }
    if lost:
        label, name = min(lost)
        raise ValueError(
            f"data.limit={limit} leaves class {label!r} without an image in {name}, as equal pictures of two splits "
            "are dropped: raise it"
        )
