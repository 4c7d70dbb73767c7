"""Which image is in which split, kept in a file: later runs extend it, and no old image ever moves."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from ..atomic import make_folder, write_text
from .dataset_index import SPLITS, DatasetIndex
from .naming import nfc

HEADER = ["path", "sha256", "split"]
Row = tuple[str, str, str]


def read_membership(path: Path, index: DatasetIndex) -> dict[int, str]:
    """Return the split of every image that the file knows, by its position.

    An image is matched by content first, so that a renamed image keeps its split, then by path inside the root, so that
    an edited image does. Among rows of equal content the one with the same path wins; among rows of one path, the last.

    Args:
        path: The file; when it is not there, no image is known.
        index: The images.

    Raises:
        ValueError: The file is not what `write_membership` writes; the message names the line.
    """
    return _known(_rows(path), index)


def write_membership(path: Path, index: DatasetIndex, splits: Sequence[str]) -> None:
    """Add a row for every image that is new by path or content; the file is replaced in one step.

    Existing rows stay as they are, also those of images that no longer exist.

    Args:
        path: The file; its folder is made, and a lock lies beside it.
        index: The images.
        splits: The split of each.

    Raises:
        ValueError: The file, which another run may have written meanwhile, has an image in another split.
    """
    make_folder(path.parent)
    with FileLock(path.with_name(f".{path.name}.lock")):
        # Read again under the lock: another run may have added rows since the splits were cut.
        rows = _rows(path)
        for position, split in _known(rows, index).items():
            if splits[position] != split:
                raise ValueError(
                    f"{path} has {index.inside[position]} in {split}, and this run would have it in "
                    f"{splits[position]}: another run wrote the file meanwhile, start again"
                )
        old = {(nfc(inside), digest) for inside, digest, _ in rows}
        new = [row for row in zip(index.inside, index.digests, splits, strict=True) if row[:2] not in old]
        if new:
            buffer = io.StringIO()
            csv.writer(buffer, lineterminator="\n").writerows([HEADER, *rows, *sorted(new)])
            write_text(path, buffer.getvalue(), errors="surrogateescape")


def _known(rows: Sequence[Row], index: DatasetIndex) -> dict[int, str]:
    of_both = {(nfc(inside), digest): split for inside, digest, split in rows}
    of_content = {digest: split for _, digest, split in reversed(rows)}
    of_path = {nfc(inside): split for inside, _, split in rows}
    found = {}
    for position, (inside, digest) in enumerate(zip(index.inside, index.digests, strict=True)):
        split = of_both.get((inside, digest)) or of_content.get(digest) or of_path.get(inside)
        if split is not None:
            found[position] = split
    return found


def _rows(path: Path) -> list[Row]:
    if not path.exists():
        return []
    # A spreadsheet may have saved it, and a name may be no UTF-8.
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        try:
            lines = list(csv.reader(file))
        except csv.Error as error:
            raise ValueError(f"{path} is no table of splits ({error}): give another data.split_file") from error
    if not lines or lines[0] != HEADER:
        raise ValueError(f"{path} does not begin with {','.join(HEADER)}: give another data.split_file")
    rows, seen = [], set[tuple[str, str]]()
    for number, line in enumerate(lines[1:], 2):
        if not any(line):
            continue
        if len(line) != 3 or line[2] not in SPLITS or (line[0], line[1]) in seen:
            raise ValueError(
                f"{path}, line {number}: {','.join(line)!r} must be a path, the SHA-256 of its image, which no other "
                f"line has with that path, and one of {', '.join(SPLITS)}: correct or remove the line"
            )
        seen.add((line[0], line[1]))
        rows.append((line[0], line[1], line[2]))
    return rows
