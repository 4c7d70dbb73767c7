"""How the splits of an index are chosen: cut anew, by folds, or extended from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .dataset_index import DatasetIndex
from .membership import read_membership, write_membership
from .splits import Fold, split


@dataclass(frozen=True)
class Splitting:
    """Settings that determine the splits.

    Attributes:
        seed: Which images go where.
        val_fraction: Part of the images outside test and calibration that becomes val, where the source has no split.
        test_fraction: Part of the images that becomes test, where the source has no split.
        fold: The part that becomes test in a cross-validation, in place of `test_fraction`.
        file: Where the splits are kept, so that later runs only extend them; None keeps nothing.
        calibration_fraction: Part of the images outside test that becomes calibration; 0 cuts none.
    """

    seed: int
    val_fraction: float
    test_fraction: float
    fold: Fold | None
    file: Path | None
    calibration_fraction: float = 0.0

    def __post_init__(self) -> None:
        """Refuse folds whose membership would be kept: each image is in the test split of one of them."""
        if self.fold is not None and self.file is not None:
            raise ValueError("data.folds cuts other splits in every fold: leave out data.split_file")

    def names(self, index: DatasetIndex, links: Sequence[tuple[int, int]] = ()) -> list[str]:
        """Return the split of every image.

        Args:
            index: The images.
            links: Pairs of positions that must not part.

        Raises:
            ValueError: As `split` and `read_membership`, or the source names another split than the one that was kept.
        """
        kept = read_membership(self.file, index) if self.file is not None else {}
        _require_agreement(index, kept)
        if self.calibration_fraction and len(kept) == len(index.samples) and "calibration" not in kept.values():
            raise ValueError(
                f"{self.file} keeps every image where it is, and none is left for calibration: name another "
                "data.split_file, or leave out data.calibration_fraction"
            )
        return split(
            index.samples,
            index.digests,
            index.root,
            seed=self.seed,
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            calibration_fraction=self.calibration_fraction,
            fold=self.fold,
            links=links,
            kept=kept,
        )

    def keep(self, index: DatasetIndex, names: Sequence[str]) -> None:
        """Write the splits into the file, if there is one."""
        if self.file is not None:
            write_membership(self.file, index, names)


def _require_agreement(index: DatasetIndex, kept: Mapping[int, str]) -> None:
    """Refuse a split that the source names and that is not the one that was kept."""
    given = {sample.split for sample in index.samples}
    for position, name in kept.items():
        own = index.samples[position].split
        cut = own == "train" and name not in given  # it was cut from what the source calls train
        if own is not None and own != name and not cut:
            raise ValueError(
                f"{index.inside[position]} is in {own} by its source and in {name} by data.split_file: "
                "correct one of them"
            )
