"""Features of the frozen backbone, and what they show: probable label errors, and flips that keep the class."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..atomic import write_bytes
from ..backbones import Backbone
from ..backbones.pixels import show
from ..data import ImageData
from ..data.dataset import Target
from ..data.quality.label_errors import LabelCheck, check_labels
from ..data.quality.symmetry import Symmetry, find_symmetry
from ..data.targets import targets
from ..lora.fingerprint import base_hash
from .build import best_device, is_conv_net, network_input
from .head_start import FrozenFeatures

log = logging.getLogger(__name__)
MOST = 20_000  # images whose labels are examined: 100 MB of features
FLIPPED = 250  # images that are flipped to see whether they keep their class
MOST_FILES = 8  # files of features in the cache, the newest: some sets with one backbone, or one set with some


def examine_labels(backbone: Backbone, data: ImageData, frozen: FrozenFeatures | None = None) -> LabelCheck:
    """Find labels that a classifier on the frozen features of the other images contradicts.

    Args:
        backbone: The network, with pretrained weights: random ones see nothing.
        data: The images, after `setup`. Of more than `MOST`, every n-th is examined.
        frozen: Features that a training will start its head from. Where those of the plain network are not in the
            cache, these are taken, so that no image goes through a network twice; they differ from them by rounding.

    Returns:
        The suspects by their position in `data.collection().samples`, or why nothing was examined.
    """
    if data.index.target != "label":
        return LabelCheck(reason="images with several labels or a value cannot be examined so")
    collection = data.collection()
    readable = collection.readable
    if backbone.weights == "none" or not readable:
        return LabelCheck(reason="no image can be read" if not readable else "the backbone has random weights")
    positions = _choose_positions(data)
    units = data.units()
    checked = check_labels(
        _features(backbone, data, positions, frozen=frozen),
        [collection.samples[position].label for position in positions],
        positions,
        [units[position] for position in positions],
    )
    if len(positions) == len(readable):
        return checked
    drawn = f"{len(positions):,} of {len(readable):,} images were drawn"
    return replace(checked, reason=f"{drawn}; {checked.reason}" if checked.reason else drawn)


def examine_symmetry(backbone: Backbone, data: ImageData) -> Symmetry:
    """Find the flips and turns under which the training and validation images keep their class.

    Args:
        backbone: The network, with pretrained weights: random ones see nothing.
        data: The images, after `setup`. Of more than `FLIPPED`, every n-th is looked at.
    """
    if backbone.weights == "none":
        return Symmetry("all", "the backbone has random weights, which cannot tell whether flips keep the class")
    examined = set(_choose_positions(data))
    known = [
        (position, target)
        for split in ("train", "val")
        for position, target in zip(data.positions(split), targets(data.samples(split), data.classes), strict=True)
        if position in examined
    ]
    known = known[:: -(-len(known) // FLIPPED)]
    positions, units = [position for position, _ in known], data.units()
    views = ("horizontal", "both", *(("rotate90",) if data.image.size[0] == data.image.size[1] else ()))
    return find_symmetry(
        _features(backbone, data, positions),
        {view: partial(_features, backbone, data, positions, view) for view in views},
        np.stack([_columns(target, len(data.classes)) for _, target in known]),
        [units[position] for position in positions],
    )


def _choose_positions(data: ImageData) -> list[int]:
    """Return the positions of the images that labels are examined of, and flips of some of these."""
    readable = data.collection().readable
    # Every n-th: most sources list class by class, so that each class keeps its share.
    return readable[:: -(-len(readable) // MOST)]


def _columns(target: Target, classes: int) -> NDArray[np.float32]:
    """Return a target as columns: one-hot class, multi-hot labels, or the value."""
    return np.eye(classes, dtype=np.float32)[target] if isinstance(target, int) else target.numpy()


def _features(
    backbone: Backbone,
    data: ImageData,
    positions: list[int],
    view: str = "identity",
    frozen: FrozenFeatures | None = None,
) -> NDArray[np.float32]:
    """Return the features of the images in one of `src.spec.VIEWS` (N x F), from the cache if they are there."""
    # Built also where the features are in the cache: weights in a file may have changed.
    model = backbone.create(0, data.image.size)
    if data.cache is None:
        return _compute(model, data, positions, view) if frozen is None else frozen.at(positions)
    key = [base_hash(model), data.image, [data.digests[position] for position in positions], view]
    path = data.cache / f"features-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.npy"
    found = _read_cache(path, len(positions))
    if found is not None:
        return found
    if frozen is not None:  # of the network as it is adapted: the cache holds those of the plain one
        return frozen.at(positions)
    found = _compute(model, data, positions, view)
    _write_cache(path, found)
    return found


def _read_cache(path: Path, count: int) -> NDArray[np.float32] | None:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or cut short: computed again
        return None
    with suppress(OSError):  # of a cache that others may only read
        os.utime(path)  # what is used stays longest
    return found if found.ndim == 2 and len(found) == count else None


def _write_cache(path: Path, features: NDArray[np.float32]) -> None:
    """Write the features, and remove all but the newest `MOST_FILES` files of features beside them."""
    buffer = io.BytesIO()
    np.save(buffer, features)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, buffer.getvalue())
        for old in sorted(path.parent.glob("features-*.npy"), key=lambda each: each.stat().st_mtime)[:-MOST_FILES]:
            old.unlink()
    except OSError as error:  # they only save time
        log.warning("the features are not kept for the next time: %s", error)


@torch.no_grad()
def _compute(model: nn.Module, data: ImageData, positions: list[int], view: str) -> NDArray[np.float32]:
    shown = "" if view == "identity" else f", seen {view}"
    log.info("looking at %d images with the frozen backbone%s", len(positions), shown)
    device = best_device()
    model = model.to(device)
    if is_conv_net(model):
        model = model.to(memory_format=torch.channels_last)
    seen = [
        model(show(network_input(model, pixels.to(device), data.image), view)).flatten(1).float().cpu()
        for pixels in data.pixels(positions)
    ]
    return torch.cat(seen).numpy()
