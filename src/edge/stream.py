"""Video files, streams and cameras through PyAV (the extra `video`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import numpy as np

from ..package import install_line
from .ahead import ReadAhead
from .formats import IMAGE_SUFFIXES
from .frames import Frame, Source
from .preprocess import ImageError, Pixels, scale_grey

if TYPE_CHECKING:
    from av import VideoFrame

VIDEO_SUFFIXES = (".avi", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")
# Suffixes of endless streams of cameras are not among them.
_FILES_OF_SERVERS = {*VIDEO_SUFFIXES, *IMAGE_SUFFIXES} - {".mjpeg", ".ts"}
QUEUE = 8  # most frames of a camera that wait
PATIENCE = (10.0, 30.0)  # most seconds to open a stream, and to the next frame
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Video(Source):
    """Every frame of a video file.

    Attributes:
        address: Path of the file, or where a web server has it.
    """

    address: str
    facts: ClassVar[tuple[str, ...]] = ("frame", "seconds")

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield the frames; `seconds` is the time in the video."""
        seconds = 0.0
        for number, picture in enumerate(self._pictures()):
            if stop.is_set():
                return
            if not isinstance(picture, str) and picture.time is not None:
                seconds = picture.time
            facts = {"frame": number, "seconds": round(seconds, 3)}
            name = f"{Path(self.address).stem}-{number:06}"
            yield Frame(_public(self.address), name, partial(_pixels, picture), facts)

    def _pictures(self) -> Iterator[VideoFrame | str]:
        started = False
        try:
            for picture in _pictures(self.address):
                started = True
                yield picture
        except _BrokenOff as error:
            if not started:
                raise ValueError(f"{_public(self.address)} cannot be read as a video: {error}") from error
            yield f"the rest cannot be read: {error}"


@dataclass(frozen=True)
class Camera(Source):
    """The newest frames of a stream or a USB camera, which is reopened when it is lost.

    If frames come faster than they are taken, the oldest that wait are dropped.

    Attributes:
        address: Address of the stream, or the device.
        retries: Consecutive attempts to reopen it, with a pause that doubles from half a second to 30 seconds.
    """

    address: str
    retries: int
    live: ClassVar[bool] = True
    facts: ClassVar[tuple[str, ...]] = ("frame", "seconds", "dropped")

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield the frames; `seconds` runs from the first one, `dropped` counts those that were dropped by then."""
        with ReadAhead(self._received(stop), QUEUE, drop=True) as newest:
            for frame in newest:
                yield replace(frame, facts=frame.facts | {"dropped": newest.dropped})

    def _received(self, stop: Event) -> Generator[Frame, None, None]:
        path, number, failures, begin = _public(self.address), 0, 0, 0.0
        start = time.strftime("%Y-%m-%d_%H-%M-%S")  # copies of another run keep their names
        while True:
            try:
                for picture in _pictures(self.address):
                    begin = begin or time.monotonic()
                    facts = {"frame": number, "seconds": round(time.monotonic() - begin, 3)}
                    yield Frame(path, f"{start}-{number:06}", partial(_pixels, picture), facts)
                    number, failures = number + 1, 0
                    if stop.is_set():
                        return
                reason = "no more frames"
            except _BrokenOff as error:
                reason = str(error)
            if not number:
                raise ValueError(f"{path} gives no picture ({reason}): check the address, and that the camera is on")
            if stop.is_set() or failures == self.retries:
                log.warning("%s: %s; given up after %d tries", path, reason, failures)
                return
            pause = min(FIRST_PAUSE * 2**failures, LONGEST_PAUSE)
            failures += 1
            log.warning("%s: %s; try %d of %d in %g s", path, reason, failures, self.retries, pause)
            stop.wait(pause)


def is_video(source: str) -> bool:
    """Return whether `source` is named as a video file, local or on a web server."""
    if "://" not in source:
        return Path(source).suffix.lower() in VIDEO_SUFFIXES
    address = urlsplit(source)
    return address.scheme in ("http", "https") and Path(address.path).suffix.lower() in _FILES_OF_SERVERS


def is_camera(source: str) -> bool:
    """Return whether `source` is the address of an endless stream, or a USB camera."""
    return source.startswith("/dev/video") or ("://" in source and not is_video(source))


class _BrokenOff(Exception):
    """A video cannot be opened or read on."""


def _pictures(address: str) -> Iterator[VideoFrame | str]:
    """Yield every decoded frame, or why one could not be decoded."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise ValueError(f"videos and cameras need PyAV: {install_line('video')}") from error
    form = "v4l2" if address.startswith("/dev/") else None
    options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
    try:
        with av.open(address, format=form, options=options, timeout=PATIENCE) as container:
            if not container.streams.video:
                raise _BrokenOff("there is no video in it")
            for packet in container.demux(container.streams.video[0]):
                try:
                    yield from packet.decode()
                except av.FFmpegError as error:
                    yield str(error.strerror)
    except av.FFmpegError as error:  # its full message has the address, maybe with a password
        silent = isinstance(error, av.error.ExitError)
        raise _BrokenOff("it was silent for too long" if silent else str(error.strerror)) from error


def _pixels(picture: VideoFrame | str, bit_depth: int) -> Pixels:
    if isinstance(picture, str):
        raise ImageError(f"broken frame: {picture}")
    if picture.is_corrupt:
        raise ImageError("broken frame: parts of it are missing")
    try:
        if picture.format.name.startswith("gray16"):  # a camera's levels lie low in the 16 bits
            rgb = scale_grey(picture.to_ndarray(format="gray16le"), bit_depth)
        else:
            rgb = picture.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    except ImageError:
        raise
    except Exception as error:  # of any kind: one bad frame must not end a stream
        raise ImageError(f"broken frame: {error}") from error
    return np.ascontiguousarray(np.rot90(rgb, round(picture.rotation / 90)))


def _public(address: str) -> str:
    """Return the address without the parts that may hold a password: user, query and fragment."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
