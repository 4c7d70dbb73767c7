"""A folder of class folders, with or without a folder for each split above them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
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
        """List the images of a training.

        Raises:
            ValueError: As `read_lot`; or there is no train folder beside others, an empty class folder, a single class,
                or classes only outside train or outside the `classes` that were named.
        """
        listing = self.read_lot()
        classes, samples = listing.classes, listing.samples
        if not {sample.split for sample in samples} & {None, "train"}:
            folder = samples[0].path.relative_to(self.root).parts[0]
            raise ValueError(f"{self.root} has no train folder beside {folder}: add {self.root / 'train'}/<class>/")
        held = {(sample.split, sample.label) for sample in samples}
        for path, split in _class_folders(self.root):
            if (split, path.name) not in held:
                raise ValueError(f"{path} has no images ({', '.join(IMAGE_SUFFIXES)}): add some or remove the folder")
        if len(classes) < 2:
            raise ValueError(f"{self.root} has one class only ({classes[0]}): add a folder of images for another")
        if self._classes is not None:
            classes = arranged(classes, self._classes, f"{self.root} has the folders")
        require_learnable(samples, "add training images of it, rename its folder or remove it")
        positive, ordered = positive_class(classes, self._wanted), self._classes is not None
        return replace(listing, classes=classes, positive=positive, ordered=ordered)

    def read_lot(self) -> Listing:
        """List images to judge a finished model by.

        Raises:
            ValueError: The folder has no class folders, or no image in any.
        """
        samples = tuple(
            Sample(path, folder.name, split)
            for folder, split in _class_folders(self.root)
            for path in sorted(_images(folder))
        )
        if not samples:
            raise ValueError(f"{self.root} has no images ({', '.join(IMAGE_SUFFIXES)}) in its class folders: add some")
        classes = tuple(sorted({sample.label for sample in samples}))
        return Listing(self.root.resolve().name, self.root, samples, classes, None)


def _class_folders(root: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield the folder of every class, in every split folder where there are such, and the split."""
    splits = [(folder, SPLIT_NAMES.get(folder.name.lower())) for folder in _folders(root)]
    if not (splits and all(split for _, split in splits)) and not any(split == "train" for _, split in splits):
        splits = [(root, None)]
    for folder, split in splits:
        if split is None and folder != root:
            log.warning("%s lies beside the split folders and is not read", folder)
            continue
        classes = _folders(folder)
        if not classes:
            problem = "has images but no class folders" if any(_images(folder)) else "is empty"
            raise ValueError(f"{folder} {problem}: put the images of each class into {folder}/<class>/")
        yield from ((each, split) for each in classes)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in IMAGE_SUFFIXES and not hidden and path.is_file():
            yield path
