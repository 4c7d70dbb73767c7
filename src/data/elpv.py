"""ELPV: electroluminescence pictures of solar cells, from the package `elpv-dataset`."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..near import near
from ..package import install_line
from .datamodule import ImageData
from .dataset_index import DatasetIndex, Sample

LEVELS = ("functional", "likely-functional", "likely-defective", "defective")
TARGETS = {"defective": ("functional", "defective"), "level": LEVELS, "probability": ("probability",)}
LICENCE = "CC BY-NC-SA 4.0"
NOTES = (
    "The cells come from 44 modules, but the package does not say which: cells of one module can be in several splits.",
)


class ElpvData(ImageData):
    """2,624 cells, 300 x 300 pixels, each with a defect probability of 0, 1/3, 2/3 or 1 and the type of its module.

    Splits keep the proportions of every level and module type. Source: Deitsch et al., Solar Energy 185 (2019).
    """

    def __init__(self, target: str = "defective", soft_labels: bool = False, **options: Any) -> None:
        """Choose what is to be learnt.

        Args:
            target: `defective` is probability > 0.5, two classes; `level` is the four probabilities, as classes from
                sound to defective; `probability` is the number itself.
            soft_labels: Aim the training at the experts' probability instead of the class. With `level` and
                `probability` there is nothing to soften.
            options: As `DataOptions`, by keyword.

        Raises:
            ValueError: The target is unknown.
        """
        super().__init__(**options)
        if target not in TARGETS:
            raise ValueError(
                f"unknown ELPV target {target!r}{near(target, TARGETS)}: choose one of {', '.join(TARGETS)}"
            )
        self.target, self.soft_labels = target, soft_labels

    def read(self) -> DatasetIndex:
        """List the cells.

        Raises:
            ValueError: The package is not installed.
        """
        root = package_root()
        with (root / "labels.csv").open(newline="") as file:
            rows = list(csv.reader(file, delimiter=" ", skipinitialspace=True))
        samples = tuple(self._sample(root / name, float(probability), kind) for name, probability, kind in rows)
        classes = TARGETS[self.target]
        positive = "defective" if self.target == "defective" else None
        return DatasetIndex("elpv", root, samples, classes, positive, LICENCE, NOTES, ordered=True)

    def _sample(self, path: Path, probability: float, kind: str) -> Sample:
        level = LEVELS[round(3 * probability)]
        binary = TARGETS["defective"][probability > 0.5]
        stratum = f"{level}/{kind}"
        if self.target == "level":
            return Sample(path, level, stratum=stratum)
        if self.target == "probability":
            return Sample(path, level, stratum=stratum, value=probability)
        return Sample(path, binary, stratum=stratum, soft=(1 - probability, probability) if self.soft_labels else None)


def package_root() -> Path:
    """Return the folder of the installed pictures.

    Raises:
        ValueError: The package is not installed.
    """
    package = find_spec("elpv_dataset")
    if package is None or not package.submodule_search_locations:
        raise ValueError(f"the ELPV images are not installed: run {install_line('demo')}")
    return Path(package.submodule_search_locations[0]) / "data"
