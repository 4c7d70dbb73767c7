"""The first and the last step around a backbone, the same in training, in evaluation and in the shipped graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from src.spec import ImageSpec

_FLIPS: dict[str, list[int]] = {"identity": [], "horizontal": [3], "vertical": [2], "both": [2, 3]}


def normalise(pixels: Tensor, image: ImageSpec) -> Tensor:
    """Bring pixels to the scale that the backbone was trained on: (x / 255 - mean) / std.

    Args:
        pixels: N x H x W x 3, uint8.
        image: Mean and standard deviation of each channel.

    Returns:
        N x 3 x H x W, float32, on the device of `pixels`.
    """
    mean, std = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (image.mean, image.std))
    return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std


def average_views(model: Callable[[Tensor], Tensor], images: Tensor, views: Sequence[str]) -> Tensor:
    """Average the model's logits over flips of the pictures, all in one batch.

    Args:
        model: Maps N x 3 x H x W to logits; in eval mode, so that the views of a batch do not see each other.
        images: N x 3 x H x W.
        views: Some of `src.spec.VIEWS`; `("identity",)` gives the model's own logits bit for bit.

    Returns:
        Logits, N x classes.
    """
    flipped = [images.flip(_FLIPS[view]) if _FLIPS[view] else images for view in views]
    if len(flipped) == 1:
        return model(flipped[0])
    # One pass over a longer batch keeps one copy of the backbone in the exported graph.
    logits = model(torch.cat(flipped))
    return logits.reshape(len(flipped), -1, logits.shape[1]).mean(dim=0)
