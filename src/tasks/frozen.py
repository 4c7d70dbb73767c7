"""What the frozen backbone makes of a whole data set: features, and the labels that they contradict."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from src.backbones import Backbone
from src.data import ImageData
from src.data.files import write_bytes
from src.data.quality.label_errors import Suspect, suspects
from src.tasks.build import best_device, is_conv_net, network_input

log = logging.getLogger(__name__)
MOST = 20_000  # images whose labels are examined: 100 MB of features


def find_suspects(backbone: Backbone, data: ImageData) -> list[Suspect] | None:
    """Find labels that a classifier on the frozen features of the other images contradicts.

    Args:
        backbone: The network, with pretrained weights.
        data: The images, after `setup`. Of more than `MOST`, every n-th is examined.

    Returns:
        The suspects by their position in `data.collection().samples`; None where random weights see nothing.
    """
    if backbone.weights == "none":
        return None
    collection = data.collection()
    positions = collection.readable[:: 1 + len(collection.readable) // MOST]
    samples = [collection.samples[position] for position in positions]
    units = data.units()
    return suspects(
        _features(backbone, data, positions),
        [sample.label for sample in samples],
        positions,
        [units[position] for position in positions],
    )


def _features(backbone: Backbone, data: ImageData, positions: list[int]) -> NDArray[np.float32]:
    """Return the features of the images (N x F), from the cache where they are there."""
    facts = [backbone.name, backbone.origin, data.image, [data.digests[position] for position in positions]]
    key = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    path = data.cache / f"features-{key}.npy" if data.cache is not None else None
    found = _kept(path, len(positions))
    if found is None:
        log.info("looking at %d images with the frozen backbone, to find wrong labels", len(positions))
        found = _computed(backbone, data, positions)
        if path is not None:
            buffer = io.BytesIO()
            np.save(buffer, found)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, buffer.getvalue())
    return found


def _kept(path: Path | None, count: int) -> NDArray[np.float32] | None:
    try:
        found = None if path is None else np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or cut short: computed again
        return None
    return found if found is not None and found.ndim == 2 and len(found) == count else None


@torch.no_grad()
def _computed(backbone: Backbone, data: ImageData, positions: list[int]) -> NDArray[np.float32]:
    device = best_device()
    model: nn.Module = backbone.create(0, data.image.size).to(device)
    if is_conv_net(model):
        model = model.to(memory_format=torch.channels_last)
    seen = [
        model(network_input(model, pixels.to(device), data.image)).flatten(1).float().cpu()
        for pixels in data.pixels(positions)
    ]
    return torch.cat(seen).numpy()
