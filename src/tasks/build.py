"""Build the network of a task, and compute logits; training, evaluation and export share it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..backbones import Backbone
from ..backbones.pixels import average_views, normalise
from ..data import ImageData
from ..lora import weights_once
from ..spec import ImageSpec, TaskSpec

AT_ONCE = 32  # images in a forward, each view of a picture being one: eight views of a batch of 16 took 3 GB


def build(backbone: Backbone, image: ImageSpec, task: TaskSpec) -> nn.Module:
    """Create the backbone with a head for the task's classes or value, in channels-last memory where that is faster."""
    model = backbone.create(len(task.classes), image.size)
    # oneDNN and cuDNN compute convolutions faster in this format; a transformer gains nothing.
    return model.to(memory_format=torch.channels_last) if is_conv_net(model) else model


def is_conv_net(model: nn.Module) -> bool:
    """Return whether a network is convolutional; a transformer has one convolution, the patch embedding."""
    return sum(isinstance(module, nn.Conv2d) for module in model.modules()) > 1


def network_input(model: nn.Module, pixels: Tensor, image: ImageSpec) -> Tensor:
    """Return normalised images (N x 3 x H x W, float) for pixels of N x 3 x H x W, uint8."""
    images = normalise(pixels.permute(0, 2, 3, 1), image)
    return images.contiguous(memory_format=torch.channels_last if is_conv_net(model) else torch.contiguous_format)


def best_device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def predict_logits(
    model: nn.Module, data: ImageData, splits: Iterable[str], image: ImageSpec, task: TaskSpec
) -> dict[str, Tensor]:
    """Return the shipped logits (the views' average) of every image, in fp32 on the CPU: N x outputs for each split.

    Adapted weights are computed once for all splits.

    Args:
        model: The network, which is moved to the GPU where there is one, and left in eval mode.
        data: The images.
        splits: Names of those to judge.
        image: How pixels become the network's input.
        task: Says the views.
    """
    model.to(best_device()).eval()
    # Not `merge`: with layers and memory formats as they are, evaluate gets the same bits.
    with torch.no_grad(), weights_once(model):
        return {split: _logits(model, data.loader(split), image, task) for split in splits}


def _logits(model: nn.Module, loader: DataLoader[Any], image: ImageSpec, task: TaskSpec) -> Tensor:
    logits = [
        average_views(model, network_input(model, part.to(best_device()), image), task.views).float().cpu()
        for pixels, _, _ in loader
        for part in pixels.split(max(1, AT_ONCE // len(task.views)))
    ]
    return torch.cat(logits)
