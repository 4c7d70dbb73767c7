from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from src.backbones import Backbone
from src.backbones.pixels import average_views, normalise
from src.lora import inject
from src.lora.adapters import LowRank
from src.spec import VIEWS, TaskSpec
from src.tasks.build import AT_ONCE, build, is_conv_net, network_input, predict_logits

SPEC = TaskSpec("classification", ("a", "b"), None, ("identity", "horizontal"))


def split(pixels, batch_size):
    """Return data whose splits all hold these pixels."""
    loader = DataLoader([(each, 0, at) for at, each in enumerate(pixels)], batch_size=batch_size)
    return SimpleNamespace(loader=lambda name: loader)


@pytest.mark.parametrize(("name", "conv"), [("test_efficientnet", True), ("test_convnext", True), ("test_vit", False)])
def test_conv_nets_and_their_input_are_channels_last(name, conv):
    backbone = Backbone(name, "none")
    image = replace(backbone.image_spec(), size=(32, 32))
    model = build(backbone, image, SPEC)
    assert is_conv_net(model) == conv
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d) and min(m.weight.shape[1:]) > 1]
    assert all(w.is_contiguous(memory_format=torch.channels_last) == conv for w in weights)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    images = network_input(model, pixels, image)
    assert images.is_contiguous(memory_format=torch.channels_last) == conv
    assert torch.equal(images, normalise(pixels.permute(0, 2, 3, 1), image))


def test_logits_are_the_mean_over_the_views_in_the_order_of_the_loader():
    backbone = Backbone("test_efficientnet", "none")
    image = replace(backbone.image_spec(), size=(32, 32))
    model = build(backbone, image, SPEC)
    pixels = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    logits = predict_logits(model.train(), split(pixels, 2), ["val"], image, SPEC)["val"]
    with torch.no_grad():
        expected = sum(model.eval()(network_input(model, x, image)) for x in (pixels, pixels.flip(3))) / 2
    assert logits.dtype == torch.float32 and not model.training
    torch.testing.assert_close(logits, expected.cpu(), atol=1e-5, rtol=1e-4)


def test_no_forward_takes_more_images_than_memory_should_hold():
    backbone, task = Backbone("test_efficientnet", "none"), replace(SPEC, views=tuple(VIEWS))
    image = replace(backbone.image_spec(), size=(32, 32))
    model, taken = build(backbone, image, task), []
    model.register_forward_pre_hook(lambda _, args: taken.append(len(args[0])))
    pixels = torch.zeros((10, 3, 32, 32), dtype=torch.uint8)
    assert predict_logits(model, split(pixels, 10), ["val"], image, task)["val"].shape == (10, 2)
    assert taken == [AT_ONCE, AT_ONCE, 2 * len(VIEWS)]


def test_adapted_weights_are_computed_once_for_all_splits_and_the_logits_are_those_of_the_adapted_model(monkeypatch):
    backbone = Backbone("test_efficientnet", "none")
    image = replace(backbone.image_spec(), size=(32, 32))
    model, calls = build(backbone, image, SPEC), []
    inject(model, rank=2)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.02)
    pixels = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        expected = average_views(model.eval(), network_input(model, pixels, image), SPEC.views)
    weight = LowRank.weight
    monkeypatch.setattr(LowRank, "weight", lambda self, base: calls.append(self) or weight(self, base))
    logits = predict_logits(model, split(pixels, 5), ["val", "test"], image, SPEC)
    assert all(torch.equal(each, expected.cpu()) for each in logits.values()) and list(logits) == ["val", "test"]
    assert len(calls) == len(set(map(id, calls))) > 0
