"""Shards: files of decoded pixels with an index in front, written whole or not at all, and read a row at a time."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from ..atomic import whole_file
from .quality.image_stats import IMAGE_STATS

INDEX = np.dtype([("digest", "S32"), ("facts", IMAGE_STATS)])  # the SHA-256 of an image file, raw, and what it is like
SUFFIX = ".shard"

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Shard:
    """Where the pixels of one shard lie.

    Attributes:
        path: The file: two `.npy` records after each other, the index and the pixels.
        offset: Bytes before the first row of pixels.
        shape: Shape of a row, 3 x H x W.
    """

    path: Path
    offset: int
    shape: Shape

    def row(self, number: int) -> Tensor:
        """Return a copy of one row, 3 x H x W, uint8; neither memory nor an open file stays behind.

        Raises:
            OSError: The file is gone.
            ValueError: The file was cut.
        """
        start = self.offset + number * math.prod(self.shape)
        return torch.from_numpy(np.array(np.memmap(self.path, np.uint8, "r", start, self.shape)))


def write_shard(folder: Path, index: NDArray[Any], pixels: NDArray[np.uint8]) -> Shard:
    """Write a shard beside its place and move it there when all of it is on the disk.

    Args:
        folder: Where it belongs.
        index: N records of `INDEX`.
        pixels: N x 3 x H x W.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    path = folder / f"{uuid4().hex}{SUFFIX}"
    with whole_file(path) as file:
        _append(file, index)
        _append(file, pixels)
        offset = file.tell() - pixels.nbytes
    return Shard(path, offset, (pixels.shape[1], pixels.shape[2], pixels.shape[3]))


def read_shard(path: Path, shape: Shape) -> tuple[Shard, NDArray[Any]]:
    """Return a shard and its index.

    Args:
        path: The file.
        shape: Shape of its rows, 3 x H x W.

    Raises:
        FileNotFoundError: It is gone.
        ValueError: It is no shard, holds rows of another shape, or was cut.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        (count,) = _header(file, INDEX, 1)
        if file.tell() + count * INDEX.itemsize > size:
            raise ValueError("it was cut")
        index = np.frombuffer(file.read(count * INDEX.itemsize), INDEX)
        if _header(file, np.dtype(np.uint8), 4) != (count, *shape):
            raise ValueError(f"its rows are not {shape}")
        if size != file.tell() + count * math.prod(shape):
            raise ValueError("it was cut")
        return Shard(path, file.tell(), shape), index


def _append(file: IO[bytes], array: NDArray[Any]) -> None:
    npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(array))
    file.write(array.view(np.uint8).data)  # ndarray.tofile does not tell a full disk from another fault


def _header(file: IO[bytes], dtype: np.dtype[Any], dimensions: int) -> tuple[int, ...]:
    """Return the shape that a record declares."""
    try:
        version = npy.read_magic(file)
        shape, by_column, kind = npy.read_array_header_1_0(file)
    except Exception as error:  # the parser of numpy raises whatever a foreign file makes it raise
        raise ValueError(f"it has no header ({error})") from error
    if version != (1, 0) or by_column or kind != dtype or len(shape) != dimensions:
        raise ValueError(f"it holds {kind} of shape {shape}")
    return tuple(shape)
