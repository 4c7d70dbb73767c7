"""What `input` may be: a file, a folder, a pattern, a folder that is watched, a video or a camera."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from src.edge.frames import Frame, Source
from src.edge.preprocess import IMAGE_SUFFIXES, decode
from src.edge.stream import Camera, Video, is_camera, is_video
from src.edge.watch import Watch, is_picture


@dataclass(frozen=True)
class Pictures(Source):
    """Files that are there.

    Attributes:
        paths: The files.
        folder: The folder they were searched in, if they were.
    """

    paths: tuple[Path, ...]
    folder: Path | None = None

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield the files in their order."""
        root = self.folder or os.path.commonpath([path.absolute().parent for path in self.paths])
        for path in self.paths:
            yield Frame(str(path), os.path.relpath(path, root), partial(decode, path))

    def reads(self, path: Path) -> bool:
        """Tell whether a file is one of them."""
        return path.resolve() in {own.resolve() for own in self.paths}

    def holds(self, folder: Path) -> bool:
        """Tell whether `folder` has one of the files below it, or lies below the searched folder."""
        folder = folder.resolve()
        return any(path.resolve().is_relative_to(folder) for path in self.paths) or (
            self.folder is not None and folder.is_relative_to(self.folder.resolve())
        )


def find_source(source: str, watch: bool = False, idle: float | None = None, retries: int = 8) -> Source:
    """Return where the pictures that `source` means come from.

    Args:
        source: What `find_images` takes, a video file, the address of a stream, or a camera such as `/dev/video0`.
        watch: Go on with the pictures that come into the folder `source`.
        idle: Seconds without a new picture after which the watch ends; None never.
        retries: How often in a row a lost camera is opened again.

    Raises:
        ValueError: It is not there, there is no picture in it, or it is watched and no folder, or `idle` is given
            without a watch.
    """
    path = Path(source)
    if idle is not None and not watch:
        raise ValueError("idle= ends a watch: add watch=true, or leave it out")
    if watch:
        if not path.is_dir():
            raise ValueError(f"watch=true needs a folder, and {source!r} is none: make it first, or leave watch out")
        return Watch(path, idle)
    if is_camera(source):
        return Camera(source, retries)
    if is_video(source) and not path.is_dir():
        return Video(source)
    return Pictures(tuple(find_images(source)), path if path.is_dir() else None)


def find_images(source: str) -> list[Path]:
    """Return the pictures that `source` means, sorted.

    Args:
        source: A file (taken as it is), a folder (searched with all folders below it), or a glob pattern, in which
            `**` stands for any folders. Folders and patterns give only files with one of `IMAGE_SUFFIXES` whose
            name does not start with a dot.

    Raises:
        ValueError: It is not there, or there is no picture in it.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = list(path.rglob("*"))
    elif glob.has_magic(source):
        found = [Path(match) for match in glob.glob(source, recursive=True)]
    else:
        raise ValueError(
            f"{source!r} is not there: give a picture, a folder, a pattern such as 'parts/*.png', a video or a "
            "camera (rtsp://camera/1, /dev/video0)"
        )
    images = sorted(item for item in found if is_picture(item.name) and item.is_file())
    if not images:
        raise ValueError(f"no picture in {source!r}: looked for {', '.join(IMAGE_SUFFIXES)} there and in its folders")
    return images
