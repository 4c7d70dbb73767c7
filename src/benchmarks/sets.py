"""The data sets of suite `claims`: which are there, and how each is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data import ElpvData, FolderData, ImageData
from ..data.elpv import package_root
from ..near import near

ELPV = "elpv"
SETS = (ELPV, "plantvillage_apple", "tomato_freshness", "xsdd")
EPOCHS, EPOCHS_OF = 12, {ELPV: 4, "xsdd": 6}  # larger sets: more steps an epoch
ROOT = Path("data/benchmarks")


def find_sets(asked: Sequence[str], root: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the data sets that are there, and why each other one is not.

    Args:
        asked: Names of sets; empty for all of `SETS` and every other folder in `root`.
        root: The folder of folders.

    Raises:
        ValueError: A name is neither one of `SETS` nor a folder.
    """
    folders = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    known = tuple(dict.fromkeys((*SETS, *(name for name in folders if not name.startswith(".")))))
    for name in asked:
        if name not in known:
            raise ValueError(
                f"datasets={name} is unknown{near(name, known)}: choose from {', '.join(known)}, "
                f"or name a folder in {root}; another folder of sets is named by datasets_root=DIR"
            )
    wanted = tuple(dict.fromkeys(asked)) or known
    absent = {name: reason for name in wanted if (reason := _absence(name, root))}
    return tuple(name for name in wanted if name not in absent), absent


def open_set(name: str, root: Path, **options: Any) -> ImageData:
    """Return a data set as the experiments read it: the whole picture; soft labels where experts were in doubt.

    Args:
        name: One of `SETS`, or a folder in `root`.
        root: The folder of folders.
        options: As `DataOptions`, by keyword.
    """
    options["crop_pct"] = 1.0
    if name == ELPV:
        return ElpvData(soft_labels=True, **options)
    options["crop_mode"] = "squash"
    return FolderData(root / name, **options)


def _absence(name: str, root: Path) -> str:
    """Say why a set is not there, or nothing."""
    if name != ELPV:
        return (
            ""
            if (root / name).is_dir()
            else f"{root / name} is not there: name the folder of sets by datasets_root=DIR"
        )
    try:
        package_root()
    except ValueError as error:
        return str(error)
    return ""
