"""The pictures of a data set of the Hugging Face library: rows with bytes, or files on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import UnidentifiedImageError

from ..atomic import write_bytes
from ..edge.formats import open_picture, suffix_of
from ..edge.silence import pillow_silent
from ..edge.walk import Skip, sort_out, walk
from .naming import nfc


@dataclass(frozen=True)
class HubPicture:
    """An image in a split of the data set; its bytes stay there until they are asked for."""

    split: str
    number: int
    label: str
    group: str | None
    path: str | None
    rows: Any
    column: str

    @property
    def place(self) -> str:
        """Where the user finds it."""
        return f"row {self.number} of split {self.split}"

    @property
    def local(self) -> bool:
        """Whether the image is a file on this machine rather than bytes in the data set."""
        return self.path is not None and os.path.isfile(self.path)

    def content(self) -> bytes:
        """Return the image's file as it was made."""
        image = self.rows[self.number - 1][self.column]
        return Path(str(image["path"])).read_bytes() if image["bytes"] is None else bytes(image["bytes"])


def list_pictures(
    part: Any, split: str, columns: Mapping[str, str | None], names: Sequence[str] | None
) -> list[HubPicture]:
    """Return the pictures of a split, not decoded.

    Args:
        part: The split, its images not decoded.
        split: Its name.
        columns: The column of each role.
        names: The names of whole-number labels; None where labels are text.

    Raises:
        ValueError: A row has no image, or no label that is a class.
    """
    found = []
    for number, row in enumerate(part, start=1):
        image, label = row[columns["image"]], row[columns["label"]]
        group = None if columns["group"] is None else row[columns["group"]]
        place = f"row {number} of split {split}"
        if label is None or label == "" or (names is not None and label < 0):
            raise ValueError(f"{place} has no label: leave that split out by 'data.splits={{{split}: null}}'")
        if isinstance(label, bytes | float | list | dict):
            raise ValueError(f"{place} has the label {label!r}, which is no class: set data.label_column=NAME")
        if image is None:
            raise ValueError(f"{place} has no image: leave that split out by 'data.splits={{{split}: null}}'")
        text = nfc(str(label) if names is None else names[label])
        kept = None if group in (None, "") else nfc(str(group))
        path = image["path"] if image["bytes"] is None else None
        found.append(HubPicture(split, number, text, kept, path, part, str(columns["image"])))
    return found


def write_picture(root: Path, picture: HubPicture) -> Path:
    """Return the picture's own file, written unless it is there."""
    content = picture.content()
    path = root / picture.split / f"{picture.number:06}{_suffix(content)}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    return path


def _suffix(content: bytes) -> str:
    try:
        with pillow_silent(), open_picture(content) as image:
            return suffix_of(str(image.format))
    except UnidentifiedImageError:
        return ".png"  # a broken image, which is told of with all the others


def find_unlisted(folder: Path, listed: Iterable[Path]) -> tuple[list[Skip], int]:
    """Return what lies in a local data set and was not listed, with the reason, and how many other files there are."""
    found, known = walk(folder), {os.path.realpath(path) for path in listed}
    unlisted = [path for path in found.pictures if os.path.realpath(path) not in known]
    skipped, ignored = sort_out(found.others)
    reason = "not listed by the library datasets, or of a split that is left out"
    return sorted([*((path, reason) for path in unlisted), *found.lost, *skipped]), ignored + found.ignored
