"""A folder of shards for one way of decoding: read by any number of runs, repaired and filled by one at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ..atomic import PART
from ..spec import ImageSpec
from .shards import INDEX, SUFFIX, Shape, Shard, read_shard, write_shard

log = logging.getLogger(__name__)

FORMAT = 2  # to be raised when the same file would give other pixels or statistics than before
SHARD_BYTES = 32 * 2**20
_CURRENT = f"v{FORMAT}-pillow{PIL.__version__}-"
_OURS = re.compile(r"v\d+-pillow[^-]+-\d+x\d+-[0-9a-f]{12}")
_WAYS_OUT = "set data.cache_dir=DIR to a folder elsewhere, or data.cache_dir=null to decode anew in every epoch"


class PixelStore:
    """The shards of one `ImageSpec` below a cache folder.

    Attributes:
        folder: Where they lie; its name says format, Pillow's version, size, and a hash of the other settings.
        shape: Shape of a row, 3 x H x W.
        rows: Rows of a full shard.
    """

    def __init__(self, cache: Path, image: ImageSpec) -> None:
        """Name the folder; nothing is read or written.

        Args:
            cache: The folder that holds the stores of all settings.
            image: What decides the pixels of an image file.
        """
        height, width = image.size
        settings = [image.interpolation, image.crop_pct, image.crop_mode, image.bit_depth]
        digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
        self.folder = cache / f"{_CURRENT}{height}x{width}-{digest}"
        self.shape: Shape = (3, height, width)
        self.rows = max(1, SHARD_BYTES // math.prod(self.shape))

    def shards(self, heal: bool = False) -> Iterator[tuple[Shard, NDArray[Any]]]:
        """Yield every usable shard and its index.

        Args:
            heal: Remove damaged shards; only under the lock.
        """
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                yield read_shard(path, self.shape)
            except FileNotFoundError:  # another run, which holds the lock, has removed it
                continue
            except ValueError as error:
                if heal:
                    log.warning("removing %s from the cache, its images are decoded again: %s", path, error)
                    path.unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one run at a time fill the store, and remove what killed runs and other versions left.

        Raises:
            ValueError: The folder cannot be written.
        """
        with _explain_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock(self.folder))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                # The other run may decode the same images: wait, and read what it wrote.
                log.info("another run is filling %s: waiting for it", self.folder)
                lock.acquire()
        try:
            with _explain_errors(self.folder):
                self._clean()
            yield
        finally:
            lock.release()

    def reserve(self, images: int) -> None:
        """Refuse to begin what would not fit.

        Raises:
            ValueError: The disk has too little space for so many images.
        """
        needed = images * (math.prod(self.shape) + INDEX.itemsize)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise ValueError(
                f"the cache in {self.folder} needs {_mib(needed)} for {images} images and {_mib(free)} are free: "
                f"make room, {_WAYS_OUT}"
            )

    def add(self, index: NDArray[Any], pixels: NDArray[np.uint8]) -> Shard:
        """Write a new shard.

        Raises:
            ValueError: The disk is full, or cannot be written.
        """
        with _explain_errors(self.folder, pixels.nbytes):
            self.folder.mkdir(parents=True, exist_ok=True)  # the cache may be deleted at any time
            return write_shard(self.folder, index, pixels)

    def _clean(self) -> None:
        for part in self.folder.glob(f".*{PART}"):
            log.warning("removing %s, which a killed run left", part)
            part.unlink(missing_ok=True)
        for other in sorted(self.folder.parent.iterdir()):
            if _OURS.fullmatch(other.name) and not other.name.startswith(_CURRENT) and other.is_dir():
                _remove(other, self._lock(other))

    @staticmethod
    def _lock(folder: Path) -> Path:
        return folder.with_name(f".{folder.name}.lock")


def _remove(folder: Path, lock: Path) -> None:
    """Remove the store of another version, unless a run of that version is filling it."""
    try:
        with FileLock(lock, timeout=0):
            log.warning("removing %s, a cache of another version of Graft or Pillow", folder)
            shutil.rmtree(folder)
    except Timeout:
        log.info("%s is of another version and in use: left alone", folder)


@contextmanager
def _explain_errors(folder: Path, needed: int = 0) -> Iterator[None]:
    """Say what to do about a folder that cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ValueError(
                f"the disk is full: the cache in {folder} needs {_mib(needed)} for the next images; "
                f"make room, {_WAYS_OUT}"
            ) from error
        raise ValueError(f"the cache in {folder} cannot be written ({error.strerror or error}): {_WAYS_OUT}") from error


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
