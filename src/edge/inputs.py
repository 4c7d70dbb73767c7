"""Where pictures come from: one file, a folder, or a pattern."""

from __future__ import annotations

import glob
from pathlib import Path

from src.edge.preprocess import IMAGE_SUFFIXES

VIDEO_SUFFIXES = (".avi", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")


def find_images(source: str) -> list[Path]:
    """Return the pictures that `source` means, sorted.

    Args:
        source: A file (taken as it is), a folder (searched with all folders below it), or a glob pattern, in which
            `**` stands for any folders. Folders and patterns give only files with one of `IMAGE_SUFFIXES` whose
            name does not start with a dot.

    Raises:
        ValueError: It is a stream, it is not there, or there is no picture in it.
    """
    path = Path(source)
    if "://" in source or path.suffix.lower() in VIDEO_SUFFIXES:
        raise ValueError(f"{source}: streams are not supported yet: give an image file, a folder or a pattern")
    if path.is_file():
        return [path]
    if path.is_dir():
        found = list(path.rglob("*"))
    elif glob.has_magic(source):
        found = [Path(match) for match in glob.glob(source, recursive=True)]
    else:
        raise ValueError(f"{source!r} is not there: give an image file, a folder or a pattern such as 'parts/*.png'")
    images = sorted(item for item in found if _is_image(item))
    if not images:
        raise ValueError(f"no picture in {source!r}: looked for {', '.join(IMAGE_SUFFIXES)} there and in its folders")
    return images


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
