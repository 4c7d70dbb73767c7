"""The first and the last step around a backbone, the same in training, in evaluation and in the shipped graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..spec import ImageSpec

_GREY = (0.299, 0.587, 0.114)
_FLIPS: dict[str, list[int]] = {"identity": [], "horizontal": [3], "vertical": [2], "both": [2, 3]}
_TURNED_FLIPS: dict[str, list[int]] = {"transpose": [], "rotate270": [3], "rotate90": [2], "transverse": [2, 3]}


def normalise(pixels: Tensor, image: ImageSpec) -> Tensor:
    """Bring pixels to the scale that the backbone was trained on: (x / 255 - mean) / std.

    Args:
        pixels: N x H x W x 3, uint8.
        image: Mean and standard deviation of each channel; with one channel the pixels become grey (ITU-R BT.601).

    Returns:
        N x channels x H x W, float32, on the device of `pixels`.
    """
    # Constants of a whole row: with three values each, onnxruntime spends a fifth of an
    # int8 file's time on these two operations.
    mean, std = (
        torch.tensor(each, device=pixels.device).repeat(pixels.shape[2], 1) for each in (image.mean, image.std)
    )
    colours = pixels.float()
    if len(image.mean) == 1:
        colours = (colours * torch.tensor(_GREY, device=pixels.device)).sum(dim=3, keepdim=True)
    return ((colours / 255 - mean) / std).permute(0, 3, 1, 2)


def average_views(model: Callable[[Tensor], Tensor], images: Tensor, views: Sequence[str]) -> Tensor:
    """Average the model's logits over flips and quarter turns of the pictures, all in one batch.

    Args:
        model: Maps N x 3 x H x W to logits; in eval mode, so that the views of a batch do not see each other.
        images: N x 3 x H x W; square where a view is a quarter turn.
        views: Some of `src.spec.VIEWS`; `("identity",)` gives the model's own logits bit for bit.

    Returns:
        Logits, N x classes.
    """
    seen = [show(images, name) for name in views]
    if len(seen) == 1:
        return model(seen[0])
    # One pass over a longer batch keeps one copy of the backbone in the exported graph.
    logits = model(torch.cat(seen))
    return logits.reshape(len(seen), -1, logits.shape[1]).mean(dim=0)


def show(images: Tensor, name: str) -> Tensor:
    """Return the pictures (N x C x H x W) flipped or turned as one of `src.spec.VIEWS`."""
    turned = name in _TURNED_FLIPS
    flips = _TURNED_FLIPS[name] if turned else _FLIPS[name]
    images = images.transpose(2, 3) if turned else images
    return images.flip(flips) if flips else images
