"""Find the source that `input` names: a file, a folder, a pattern, a watched folder, a video or a camera."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from threading import Event

from ..absent import no_pictures
from .frames import Frame, Source
from .stream import Camera, Video, is_camera, is_video
from .unread import Unread
from .walk import Found, sort_out, walk
from .watch import Watch


@dataclass(frozen=True)
class Pictures(Source):
    """Existing files.

    Attributes:
        paths: The files.
        folder: The searched folder, if there was one.
        unread: Files that were found there and are not read.
    """

    paths: tuple[Path, ...]
    folder: Path | None = None
    unread: Unread = field(default_factory=Unread, compare=False)

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield the files in their order."""
        root = self.folder or os.path.commonpath([path.absolute().parent for path in self.paths])
        for path in self.paths:
            yield Frame(str(path), os.path.relpath(path, root), partial(self.unread.decode, path))

    def left_out(self) -> str:
        """Return what is skipped, and how many further pages there are, in words."""
        return str(self.unread)

    def reads(self, path: Path) -> bool:
        """Return whether a file is one of them."""
        return path.resolve() in {own.resolve() for own in self.paths}

    def holds(self, folder: Path) -> bool:
        """Return whether `folder` contains one of the files, or lies in the searched folder."""
        folder = folder.resolve()
        return any(path.resolve().is_relative_to(folder) for path in self.paths) or (
            self.folder is not None and folder.is_relative_to(self.folder.resolve())
        )


def find_source(source: str, watch: bool = False, idle: float | None = None, retries: int = 8) -> Source:
    """Return the source that `source` names.

    Args:
        source: What `find_images` takes, a video file, the address of a stream, or a camera such as `/dev/video0`.
        watch: Continue with pictures that appear in the folder `source`.
        idle: Seconds without a new picture after which the watch ends; None for never.
        retries: Consecutive attempts to reopen a lost camera.

    Raises:
        ValueError: It is not there, there is no picture in it, or it is watched and no folder, or `idle` is given
            without a watch.
    """
    path = Path(source)
    if idle is not None and not watch:
        raise ValueError("idle= ends a watch: add watch=true, or leave it out")
    _require_named(source)
    if watch:
        if not path.is_dir():
            raise ValueError(f"watch=true needs a folder, and {source!r} is none: make it first, or leave watch out")
        return Watch(path, idle)
    if is_camera(source):
        return Camera(source, retries)
    if is_video(source) and not path.is_dir():
        return Video(source)
    found = _find(source)
    return Pictures(tuple(found.pictures), path if path.is_dir() else None, Unread(_skips(found)))


def find_images(source: str) -> list[Path]:
    """Return the pictures that `source` names, sorted.

    Args:
        source: A file (taken as it is), a folder (searched with all folders below it, see `walk`), or a glob pattern,
            in which `**` stands for any folders. Folders and patterns give only files with one of `IMAGE_SUFFIXES`
            whose name does not start with a dot.

    Raises:
        ValueError: It is not there, or there is no picture in it.
    """
    return _find(source).pictures


def _require_named(source: str) -> None:
    """Refuse an empty name, which would be the current folder.

    Raises:
        ValueError: It is one.
    """
    if not source.strip():
        raise ValueError(
            "input= is empty (a shell variable that is not set?): name the pictures; input=. is this folder"
        )


def _find(source: str) -> Found:
    _require_named(source)
    path = Path(source)
    if path.is_file():
        return Found([path])
    if path.is_dir():
        found = walk(path)
    elif glob.has_magic(source):
        found = _matching(source)
    else:
        raise ValueError(no_pictures(source))
    if not found.pictures:
        raise ValueError(f"no picture in {source!r} or its folders that Pillow reads{Unread(_skips(found))}")
    return found


def _skips(found: Found) -> list[tuple[Path, str]]:
    return [*found.lost, *sort_out(found.others)[0]]


def _matching(pattern: str) -> Found:
    """Find the files that a pattern matches; the first `**` is walked, as links below it may form cycles."""
    found = Found()
    before, deep, rest = _parted(pattern)
    for match in sorted(map(Path, glob.glob(before))):
        if not deep:
            found.add(match)
        elif match.is_dir():
            below = walk(match)
            for own, more in ((found.pictures, below.pictures), (found.others, below.others)):
                own += [path for path in more if _matches(path.relative_to(match).parts, rest)]
            found.lost += below.lost
    return Found(sorted(found.pictures), found.lost, found.others)


def _parted(pattern: str) -> tuple[str, bool, list[str]]:
    """Return the part before the first `**`, whether there is one, and the parts from it on."""
    parts = pattern.replace(os.sep, "/").split("/")
    if "**" not in parts:
        return pattern, False, []
    first = parts.index("**")
    return "/".join(parts[:first]) + "/" if first else ".", True, parts[first:]


def _matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return _matches(parts, patterns[1:]) or (bool(parts) and _matches(parts[1:], patterns))
    return bool(parts) and fnmatch(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])
