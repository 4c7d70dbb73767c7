"""A folder of class folders, with or without a folder for each split above them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Unpack

from src.data.checks import require_learnable
from src.data.datamodule import ImageData
from src.data.listing import Listing, Sample
from src.data.loading import Loading
from src.data.naming import SPLIT_NAMES, arranged, positive_class
from src.edge.formats import IMAGE_SUFFIXES
from src.errors import LinesError

log = logging.getLogger(__name__)

NO_SOURCE = """\
no images are given: name a folder with one folder of images a class by data.root=DIR,
a table with the columns path and label (CSV, Parquet) by data=table data.table=FILE, or
a data set of the Hugging Face hub by data=huggingface data.path=USER/NAME; data=seedlings draws plants, offline."""


class FolderData(ImageData):
    """Images under `root/<class>/` or `root/{train,val,test}/<class>/`, at any depth inside a class folder.

    Without a folder of their own, val (also called valid or validation) and test are cut from train. Hidden files and
    files without an image suffix are not looked at.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        positive: str | None = None,
        classes: Sequence[str] | None = None,
        **loading: Unpack[Loading],
    ) -> None:
        """Point to the folder.

        Args:
            root: The folder.
            positive: The class that counts as the defect, with two classes. By default the one with a name of
                `src.data.naming.DEFECT_NAMES`, else the last by name; the log says which.
            classes: The names of the class folders in the order of the target index, for grades; sorted by default.
            loading: Options of `ImageData`.

        Raises:
            ValueError: There is no such folder.
        """
        super().__init__(**loading)
        if root is None:
            raise LinesError(NO_SOURCE)
        self.root = Path(root).expanduser()
        if not self.root.is_dir():
            problem = "is not a folder" if self.root.exists() else "does not exist"
            raise ValueError(f"{self.root} {problem}: set data.root=DIR, a folder with one folder of images a class")
        self._wanted, self._classes = positive, None if classes is None else tuple(map(str, classes))

    def read(self) -> Listing:
        """List the images.

        Raises:
            ValueError: The folder has no class folders, an empty one, a single class, or classes only outside train or
                outside the `classes` that were named.
        """
        samples = tuple(_samples(self.root))
        classes = tuple(sorted({sample.label for sample in samples}))
        if len(classes) < 2:
            raise ValueError(f"{self.root} has one class only ({classes[0]}): add a folder of images for another")
        if self._classes is not None:
            classes = arranged(classes, self._classes, f"{self.root} has the folders")
        require_learnable(samples, "add training images of it, rename its folder or remove it")
        positive, ordered = positive_class(classes, self._wanted), self._classes is not None
        return Listing(self.root.resolve().name, self.root, samples, classes, positive, ordered=ordered)


def _samples(root: Path) -> Iterator[Sample]:
    splits = [(folder, SPLIT_NAMES.get(folder.name.lower())) for folder in _folders(root)]
    if not any(split == "train" for _, split in splits):
        if splits and all(split for _, split in splits):
            raise ValueError(
                f"{root} has no train folder beside {splits[0][0].name}: add {root / 'train'}/<class>/; to judge "
                f"it alone, data.root={splits[0][0]}"
            )
        yield from _of_classes(root, None)
        return
    for folder, split in splits:
        if split is None:
            log.warning("%s lies beside the split folders and is not read", folder)
        else:
            yield from _of_classes(folder, split)


def _of_classes(folder: Path, split: str | None) -> Iterator[Sample]:
    classes = _folders(folder)
    if not classes:
        problem = "has images but no class folders" if any(_images(folder)) else "is empty"
        raise ValueError(f"{folder} {problem}: put the images of each class into {folder}/<class>/")
    for each in classes:
        paths = sorted(_images(each))
        if not paths:
            raise ValueError(f"{each} has no images ({', '.join(IMAGE_SUFFIXES)}): add some or remove the folder")
        for path in paths:
            yield Sample(path, each.name, split)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in IMAGE_SUFFIXES and not hidden and path.is_file():
            yield path
