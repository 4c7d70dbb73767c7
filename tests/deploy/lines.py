"""Small trained lines on one base, for the tests of what they share."""

import torch

from src.backbones import create_backbone
from src.lora import adapters, inject
from src.spec import TaskSpec


def backbone(name="test_efficientnet", classes=2):
    model, image = create_backbone(name, weights="none", num_classes=2)  # random weights depend on the head's size too
    model.reset_classifier(classes)
    return model.eval(), image


def trained(seed, name="test_efficientnet", classes=2, **settings):
    """Return a model whose adapters and head are as different from others' as after a training."""
    model, _ = backbone(name, classes)
    inject(model, **{"rank": 4, "alpha": 4.0, "targets": "dense", **settings})
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, _, adapter in adapters(model):
            for parameter in adapter.parameters():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        for parameter in model.get_classifier().parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model.eval()


def task(classes=2):
    return TaskSpec("classification", tuple("abcd"[:classes]))
