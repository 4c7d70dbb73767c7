"""A data set of the Hugging Face hub, or a local folder in one of its layouts, through the library `datasets`."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..absent import NO_HUB_SET
from ..atomic import is_unwritable
from ..near import near
from ..package import install_line
from .checks import require_learnable, require_one_spelling, require_whole_groups
from .datamodule import ImageData
from .dataset_index import SPLITS, DatasetIndex, Sample
from .hub_pictures import HubPicture, find_unlisted, list_pictures, write_picture
from .naming import SPLIT_NAMES, arrange, nfc, positive_class

log = logging.getLogger(__name__)


class HuggingFaceData(ImageData):
    """Images of the hub, or of a local folder of class folders or Parquet files.

    Images that lie in the folder as files are used where they are. Others are written out once as they were, unchanged,
    into a folder of `files_dir` that is named for the data set and its fingerprint.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        name: str | None = None,
        image_column: str | None = None,
        label_column: str | None = None,
        group_column: str | None = None,
        splits: Mapping[str, str | None] | None = None,
        files_dir: str | os.PathLike[str] = "data/huggingface",
        positive: str | None = None,
        classes: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        """Point to the data set.

        Args:
            path: Its name on the hub such as `user/name`, or a local folder.
            name: Its configuration, where it has several.
            image_column: The column of images; by default the only one.
            label_column: The column of classes: class labels, text or whole numbers. By default the only class labels.
            group_column: A column whose equal values stay in one split; empty ones stay alone.
            splits: Which of its splits are `train`, `val` and `test`, where their names do not say it; null leaves a
                split out.
            files_dir: Where images are written out.
            positive: The class that counts as the defect, with two classes; as `FolderData`.
            classes: The labels in the order of the target index, for grades; by default as the data set lists them.
            options: As `DataOptions`, by keyword.

        Raises:
            ValueError: No path is given, or `splits` names a split that there is not.
        """
        super().__init__(**options)
        if path is None or not str(path).strip():
            raise ValueError(NO_HUB_SET)
        # The command line reads 3 as a number.
        self.path, self.name = str(path), None if name is None else str(name)
        self.files_dir = Path(files_dir).expanduser()
        columns = {"image": image_column, "label": label_column, "group": group_column}
        self._columns = {role: None if column is None else str(column) for role, column in columns.items()}
        self._splits = {str(theirs): None if ours is None else str(ours) for theirs, ours in (splits or {}).items()}
        for theirs, ours in self._splits.items():
            if ours is not None and ours not in SPLITS:
                raise ValueError(f"data.splits makes {theirs} {ours!r}{near(ours, SPLITS)}: choose {', '.join(SPLITS)}")
        self._wanted, self._classes = positive, None if classes is None else tuple(map(str, classes))

    def read(self) -> DatasetIndex:
        """List the images of a training.

        Raises:
            ValueError: As `read_lot`; or there is no train split, a group is in two, a class is not in train, there is
                one class only, or `classes` does not name each.
        """
        index, places = self._list()
        classes, samples = index.classes, index.samples
        require_whole_groups(samples, places)
        require_learnable(samples, "correct data.splits, or leave the split out by null")
        if len(classes) < 2:
            raise ValueError(f"{self.path} has one class only ({classes[0]}): set data.label_column to another column")
        if self._classes is None:
            require_one_spelling(classes, f"{self.path} has the labels")
        else:
            classes = arrange(classes, self._classes, f"{self.path} has the labels")
        positive, ordered = positive_class(classes, self._wanted), self._classes is not None
        return replace(index, classes=classes, positive=positive, ordered=ordered)

    def read_lot(self) -> DatasetIndex:
        """List images to judge a finished model by.

        Raises:
            ValueError: The library or the data set is missing, or its columns, splits or labels are unusable.
        """
        return self._list(judged=True)[0]

    def _list(self, judged: bool = False) -> tuple[DatasetIndex, list[str]]:
        """Load the data set and write out what is no file yet; also return where the user finds each picture."""
        library = _library()
        parts = self._parts(library, judged)
        pictures: list[HubPicture] = []
        classes: tuple[str, ...] = ()
        for split, part in parts.items():
            columns = self._choose_columns(library, part.features)
            names = getattr(part.features[columns["label"]], "names", None)
            classes = classes or tuple(map(nfc, names or ()))
            pictures += list_pictures(
                part.cast_column(columns["image"], library.Image(decode=False)), split, columns, names
            )
        root, paths = self._files(pictures, "-".join(part._fingerprint for part in parts.values()))
        samples = [
            Sample(path, each.label, self._ours(each.split), group=each.group)
            for path, each in zip(paths, pictures, strict=True)
        ]
        held = {sample.label for sample in samples}
        classes = tuple(name for name in classes if name in held) or tuple(sorted(held))
        local = Path(self.path).is_dir() and all(each.local for each in pictures)
        skipped, ignored = find_unlisted(Path(self.path), paths) if local else ([], 0)
        index = DatasetIndex(
            self._title(), root, tuple(samples), classes, None, skipped=tuple(skipped), ignored=ignored
        )
        return index, [each.place for each in pictures]

    def _parts(self, library: Any, judged: bool) -> dict[str, Any]:
        """Return the splits that are used, by their own names; a training needs one to train on."""
        try:
            loaded = library.load_dataset(self.path, self.name)
        except (OSError, ValueError, RuntimeError, library.exceptions.DatasetsError) as error:
            reason = " ".join(str(error).split())
            if is_unwritable(error) or "disk space" in reason:
                raise ValueError(
                    f"{self.path} cannot be kept ({reason}): make room, or set HF_HOME to another folder"
                ) from error
            raise ValueError(
                f"{self.path} cannot be loaded ({reason}): check the name and the network, or fetch it elsewhere by "
                "`hf download --repo-type dataset USER/NAME --local-dir DIR` (`huggingface-cli download` before hub "
                "1.0) and set data.path=DIR"
            ) from error
        for name in self._splits:
            if name not in loaded:
                raise ValueError(
                    f"data.splits names {name!r}{near(name, loaded)}, and {self.path} has {', '.join(loaded)}"
                )
        parts = {name: part for name, part in loaded.items() if self._ours(name) is not None and len(part)}
        for name in loaded:
            if name not in parts:
                log.warning("split %s of %s is not read (set data.splits to use it)", name, self.path)
        wanted = "test" if judged else "train"
        if not parts or (not judged and wanted not in map(self._ours, parts)):
            raise ValueError(
                f"{self.path} has no {wanted} split but {', '.join(loaded)}: "
                f"say which it is by 'data.splits={{NAME: {wanted}}}'"
            )
        return parts

    def _ours(self, split: str) -> str | None:
        return self._splits[split] if split in self._splits else SPLIT_NAMES.get(split.lower())

    def _choose_columns(self, library: Any, features: Mapping[str, Any]) -> dict[str, str | None]:
        """Return the column of each role: the one asked for, or the only one of its kind."""
        kinds = {"image": library.Image, "label": library.ClassLabel}
        chosen = dict(self._columns)
        listed = ", ".join(f"{name} ({type(feature).__name__})" for name, feature in features.items())
        for role, column in self._columns.items():
            if column is not None and column not in features:
                raise ValueError(f"{self.path} has no column {column!r}{near(column, features)} but {listed}")
            if column is None and role in kinds:
                found = [name for name, feature in features.items() if isinstance(feature, kinds[role])]
                if len(found) != 1:
                    raise ValueError(
                        f"{self.path} has {len(found) or 'no'} columns that could be the {role}, of {listed}: "
                        f"set data.{role}_column=NAME"
                    )
                chosen[role] = found[0]
        image = chosen["image"]
        if not isinstance(features[str(image)], library.Image):
            raise ValueError(f"column {image!r} of {self.path} holds no images, of {listed}: correct data.image_column")
        return chosen

    def _files(self, pictures: Sequence[HubPicture], fingerprint: str) -> tuple[Path, list[Path]]:
        """Return a folder and the file of each picture in it; what is no file in one place is written out."""
        if all(each.local for each in pictures):
            found = [Path(str(each.path)) for each in pictures]
            given = Path(self.path)
            if all(path.is_relative_to(given.absolute()) for path in found):
                return given, [given / path.relative_to(given.absolute()) for path in found]
            return Path(os.path.commonpath([path.parent for path in found])), found
        root = self.files_dir / f"{_slug(self._title())}-{fingerprint}"
        log.info("%d images of %s are kept in %s", len(pictures), self.path, root)
        return root, [write_picture(root, each) for each in pictures]

    def _title(self) -> str:
        whole = Path(self.path).resolve().name if Path(self.path).is_dir() else self.path
        return whole if self.name is None else f"{whole} ({self.name})"


def _library() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ValueError(f"data=huggingface needs the library datasets: run {install_line('hub')}") from error
    return datasets


def _slug(title: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in title).strip("-")
