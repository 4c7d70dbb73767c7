"""What a training has changed in the network that it began with."""

from __future__ import annotations

import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from ..backbones import Backbone, create_backbone
from ..lora.heads import head_state
from ..spec import ImageSpec, TaskSpec
from ..tasks.build import build, network_input


@torch.no_grad()
def forgetting(trained: nn.Module, backbone: Backbone, image: ImageSpec, task: TaskSpec, pixels: Tensor) -> float:
    """Return how far the logits of the original classes have moved: the largest difference on fixed images.

    Args:
        trained: The plain network after training, whatever was added to it taken out again.
        backbone: Where it comes from.
        image: Its input.
        task: What its own head was for.
        pixels: The images, N x 3 x H x W, uint8.
    """
    config = get_pretrained_cfg(backbone.name)
    assert config is not None
    original = create_backbone(backbone.name, backbone.weights, config.num_classes, image.size, backbone.seed)[0]
    images = network_input(original, pixels, image)
    before = _logits(original, build(backbone, image, task), images)
    return float((_logits(original, trained.cpu(), images) - before).abs().max())


def _logits(original: nn.Module, plain: nn.Module, images: Tensor) -> Tensor:
    """Return the logits of the original head on the features of `plain`."""
    own = {*head_state(plain), *head_state(original)}
    body = {name: value for name, value in plain.state_dict().items() if name not in own}
    missing = original.load_state_dict(body, strict=False)
    assert not missing.unexpected_keys and set(missing.missing_keys) <= own
    logits: Tensor = original.eval()(images)
    return logits
