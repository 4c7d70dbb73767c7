"""A folder of class folders, with or without folders of splits or groups above them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..absent import NO_SOURCE, no_class_folders
from ..edge.unread import describe
from ..edge.walk import UNREADABLE, Found, Skip, sort_out, walk
from ..errors import LinesError
from .checks import require_learnable, require_one_spelling
from .datamodule import ImageData
from .dataset_index import DatasetIndex, Sample
from .layout import Content, Layout, guess_layout, parse_layout
from .naming import arrange, nfc, positive_class, split_of


class FolderData(ImageData):
    """Images under `root/<class>/` or `root/{train,val,test}/<class>/`, at any depth inside a class folder.

    Without a folder of their own, val (also called valid or validation) and test are cut from train. Links to folders
    are followed. What is no picture is not looked at; a picture that is not used is told with the reason.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        positive: str | None = None,
        classes: Sequence[str] | None = None,
        layout: str | None = None,
        **options: Any,
    ) -> None:
        """Point to the folder.

        Args:
            root: The folder.
            positive: The class that counts as the defect, with two classes. By default the one with a name of
                `src.data.naming.DEFECT_NAMES`, else the last by name; the log says which.
            classes: The names of the class folders in the order of the target index, for grades; sorted by default.
            layout: What each level of folders means, the outermost first, such as `class`, `split/class` or
                `folder/class`: `folder` says nothing, and the images in a `group` never part. Guessed by default.
            options: As `DataOptions`, by keyword.

        Raises:
            ValueError: There is no such folder, or no such layout.
        """
        super().__init__(**options)
        if root is None or not str(root).strip():  # an empty name would mean the folder that the command runs in
            raise LinesError(NO_SOURCE)
        self.root = Path(root).expanduser()
        if not self.root.is_dir():
            raise ValueError(no_class_folders(self.root))
        self._wanted, self._classes = positive, None if classes is None else tuple(map(str, classes))
        self._layout = None if layout is None else parse_layout(str(layout))

    def read(self) -> DatasetIndex:
        """List the images of a training.

        Raises:
            ValueError: As `read_lot`; or there is no train folder beside others, an empty class folder, a single class,
                or classes only outside train or outside the `classes` that were named.
        """
        index, empty = self._list()
        samples, classes = index.samples, index.classes
        if empty:
            lost = describe(skip for skip in index.skipped if skip[0].is_relative_to(empty[0]))
            why = f" ({lost})" if lost else ""
            raise ValueError(f"{empty[0]} has no images that can be read{why}: add some or remove the folder")
        if not {sample.split for sample in samples} & {None, "train"}:
            own = samples[0].path.relative_to(self.root).parts[0]
            raise ValueError(
                f"{self.root} has no train folder beside {own}: add {self.root / 'train'}/<class>/; if {own} is a "
                "class, data.layout=class"
            )
        if len(classes) < 2:
            places = [sample.path.relative_to(self.root).parts for sample in samples]
            wrapped = len({place[1] for place in places if len(place) > 2}) > 1 and samples[0].split is None
            inner = f", or set data.root={self.root / places[0][0]} if its folders are the classes" if wrapped else ""
            raise ValueError(
                f"{self.root} has one class only ({classes[0]}): add a folder of images for another{inner}"
            )
        if self._classes is None:
            require_one_spelling(classes, f"{self.root} has the folders")
        else:
            classes = arrange(classes, self._classes, f"{self.root} has the folders")
        require_learnable(samples, "add training images of it, rename its folder or remove it")
        positive, ordered = positive_class(classes, self._wanted), self._classes is not None
        return replace(index, classes=classes, positive=positive, ordered=ordered)

    def read_lot(self) -> DatasetIndex:
        """List images to judge a finished model by.

        Raises:
            ValueError: As `_list`.
        """
        return self._list()[0]

    def _list(self) -> tuple[DatasetIndex, list[Path]]:
        """Return the images, and the class folders without any.

        Raises:
            ValueError: There is none in class folders, one of these cannot be read, or as `guess_layout`.
        """
        found = walk(self.root)
        places = [path.relative_to(self.root).parts[:-1] for path in found.pictures]
        content = Content()
        for place in places:
            content.add(place)
        layout = self._layout or self._guess(content, found)
        samples, unused = [], list[Skip]()
        for path, place in zip(found.pictures, places, strict=True):
            read = _read(path, place, layout)
            if isinstance(read, Sample):
                samples.append(read)
            else:
                unused.append((path, read))
        if not samples:
            raise ValueError(f"{self.root} has no image in folders as data.layout={'/'.join(layout)} has them")
        skipped, ignored = sort_out(found.others)
        classes = tuple(sorted({sample.label for sample in samples}))
        index = DatasetIndex(self.root.resolve().name, self.root, tuple(samples), classes, None)
        skips = (*sorted([*unused, *found.lost, *skipped]),)
        return replace(index, skipped=skips, ignored=ignored + found.ignored), [
            *_empty(found, self.root, layout, content)
        ]

    def _guess(self, content: Content, found: Found) -> Layout:
        folders = [path for path in found.folders if path.parent == self.root and path != self.root]
        closed = [(path, reason) for path, reason in found.lost if reason.startswith(UNREADABLE)]
        for path, reason in closed:
            if path == self.root or path.parent == self.root:
                raise ValueError(f"{path} is {reason}: give the right to read it, or remove it")
        if not folders:
            problem = "has images but no class folders" if content.own else "is empty"
            raise ValueError(f"{self.root} {problem}: put the images of each class into {self.root}/<class>/")
        return guess_layout(self.root, content) if content.deeper else ("class",)


def _read(path: Path, place: Sequence[str], layout: Layout) -> Sample | str:
    """Return what the folders around a picture say of it, or why it is not used."""
    if len(place) < len(layout):
        return "in no class folder"
    of = dict(zip(layout, place, strict=False))
    split = split_of(of["split"]) if "split" in of else None
    if "split" in of and split is None:
        return "beside the split folders"
    return Sample(path, nfc(of["class"]), split, group=nfc(of["group"]) if "group" in of else None)


def _empty(found: Found, root: Path, layout: Layout, content: Content) -> Iterator[Path]:
    """Yield the folders that the layout names and that hold no picture."""
    for path in found.folders:
        place = path.relative_to(root).parts
        beside = (
            "split" in layout and len(place) > layout.index("split") and split_of(place[layout.index("split")]) is None
        )
        if 0 < len(place) <= len(layout) and not beside and not content.holds(place):
            yield path
