"""A picture on its way from where it comes to its decision."""

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
        path: What its line calls it: the file, or the address of the camera.
        name: A name that no other picture of the source has; may hold folders.
        read: Gives the pixels (H x W x 3, uint8, RGB) for a bit depth, or raises `ImageError`.
        facts: What the source knows of it, such as `frame` and `seconds`; goes into its line.
    """

    path: str
    name: str
    read: Callable[[int], Pixels]
    facts: dict[str, float] = field(default_factory=dict)


class Source(ABC):
    """Where pictures come from.

    Attributes:
        live: The pictures come in their own time, so none waits for others to fill a batch.
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
        """Say behind the counts of a run what is there and is not looked at; nothing where all of it is."""
        return ""

    def reads(self, path: Path) -> bool:
        """Tell whether a file is one of the source's own."""
        return False

    def holds(self, folder: Path) -> bool:
        """Tell whether a picture written into `folder` could replace one of the source, or be taken for one."""
        return False


@dataclass(frozen=True)
class Prepared:
    """A picture that was read.

    Attributes:
        frame: Where it is from.
        ms: What reading and resizing it took, in milliseconds.
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
    """Read a picture and bring it to the network's input by `fit`."""
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
