"""Pictures of a source, before and after they are read."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

from numpy.typing import NDArray

from .preprocess import ImageError, Pixels


@dataclass(frozen=True)
class Frame:
    """One picture of a source, not read yet.

    Attributes:
        path: The file, or the address of the camera, as in its output line.
        name: A name that is unique in the source; may contain folders.
        read: Returns the pixels (H x W x 3, uint8, RGB) for a bit depth, or raises `ImageError`.
        facts: Facts of the source about it, such as `frame` and `seconds`, for its output line.
    """

    path: str
    name: str
    read: Callable[[int], Pixels]
    facts: dict[str, float] = field(default_factory=dict)


class Source(ABC):
    """Where pictures come from.

    Attributes:
        live: The pictures come in real time, so none waits for a full batch.
        facts: The keys of every frame's facts.
    """

    live: ClassVar[bool] = False
    facts: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield the pictures until there are no more, or `stop` is set.

        Raises:
            ValueError: The source cannot be opened.
        """

    def left_out(self) -> str:
        """Return what was skipped, in words, for the end of a run; empty if nothing was."""
        return ""

    def reads(self, path: Path) -> bool:
        """Return whether a file is one of the source's pictures."""
        return False

    def holds(self, folder: Path) -> bool:
        """Return whether a picture written into `folder` could replace one of the source, or be read as one."""
        return False


@dataclass(frozen=True)
class Prepared:
    """A picture that was read.

    Attributes:
        frame: Where it is from.
        ms: Time to read and resize it, in milliseconds.
        pixels: The network's input; None when the picture is broken.
        original: The picture before the resize, where it is kept.
        error: Why it is broken.
    """

    frame: Frame
    ms: float
    pixels: NDArray[Any] | None = None
    original: Pixels | None = None
    error: str = ""


def prepare(frame: Frame, fit: Callable[[Pixels], NDArray[Any]], bit_depth: int, keep_original: bool) -> Prepared:
    """Read a picture and convert it to the network's input by `fit`."""
    begin = time.perf_counter()
    pixels: NDArray[Any] | None = None
    original: Pixels | None = None
    error = ""
    try:
        original = frame.read(bit_depth)
        pixels = fit(original)
    except ImageError as broken:
        reason = str(broken)
        error = reason if reason.startswith(frame.path) else f"{frame.path}: {reason}"
    ms = (time.perf_counter() - begin) * 1000
    return Prepared(frame, ms, pixels, original if keep_original else None, error)
