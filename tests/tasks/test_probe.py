import re

import pytest
import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import nn

from src.backbones import create_backbone
from src.lora import inject
from src.tasks.probe import require_alive
from tests.conftest import TINY


class Cut(nn.Module):
    """Runs a layer and lets no gradient through to it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return x + self.layer(x).detach() - x.detach()


def vit():
    model, _ = create_backbone("test_vit", "none", 3, (32, 32))
    inject(model, rank=2, alpha=2.0, targets="dense")
    return model


def losses(model, taken, count=5):
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        taken.append(number)
        images = torch.randn(2, 3, 32, 32, generator=generator)
        yield F.cross_entropy(model(images), torch.tensor([0, 1]))


def test_one_batch_is_enough_when_all_are_alive():
    model, taken = vit(), []
    require_alive(model, losses(model, taken))
    assert taken == [0]


def test_dead_adapters_are_named_after_three_batches_and_what_to_do_is_said():
    model, _ = create_backbone("test_vit", "none", 3, (32, 32))
    model.blocks[1].mlp = Cut(model.blocks[1].mlp)
    inject(model, rank=2, alpha=2.0, targets="dense")
    taken = []
    with pytest.raises(ValueError, match=r"choose lora\.targets") as caught:
        require_alive(model, losses(model, taken))
    dead = ["blocks.1.mlp.layer.fc1", "blocks.1.mlp.layer.fc2"]
    assert taken == [0, 1, 2] and re.findall(r"blocks[\w.]+", str(caught.value)) == dead


def test_an_adapter_that_lives_on_a_later_batch_is_alive():
    model, taken = vit(), []

    def late():
        for number, loss in enumerate(losses(model, taken)):
            yield loss * (number == 2)

    require_alive(model, late())
    assert taken == [0, 1, 2]


def test_stochastic_depth_and_a_head_of_zeros_do_not_look_dead():
    model, _ = create_backbone("test_vit", "none", 3, (32, 32))
    nn.init.zeros_(model.head.weight)
    for block in model.blocks:
        block.drop_path1, block.drop_path2 = DropPath(0.999), DropPath(0.999)
    inject(model, rank=2, alpha=2.0, targets="dense")
    require_alive(model, losses(model, []))
    assert not model.head.weight.any() and model.blocks[0].drop_path1.drop_prob == 0.999


def test_a_training_stops_before_its_first_epoch(plates, tmp_path, invoke):
    # random ResNets begin with zeros for the last scale of each block, which LoRA keeps frozen
    ended = invoke(
        "train", "data=folder", f"data.root={plates}", *TINY, "backbone.name=test_resnet", f"run_dir={tmp_path / 'run'}"
    )
    assert ended.code == 2 and re.search(r"error: \d+ adapters get no gradient .*layer1\.0\.conv2", ended.err), (
        ended.err
    )
    assert not (tmp_path / "run" / "adapter.safetensors").exists()


@pytest.mark.parametrize("dies", [False, True])
def test_the_probe_leaves_no_trace(dies):
    model, _ = create_backbone("test_efficientnet", "none", 3, (32, 32))
    inject(model, rank=2, alpha=2.0, targets="dense", fold_norms=False)
    model.bn1.train(False)
    counter = nn.BatchNorm2d(3)  # its statistics move whenever it runs in train mode
    model.conv_stem = nn.Sequential(counter, model.conv_stem)
    model.global_pool.add_module("drop", nn.Dropout(0.5))
    modes = [module.training for module in model.modules()]
    state, random = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    sources = (loss * (not dies) + torch.rand(()) for loss in losses(model, []))
    if dies:
        with pytest.raises(ValueError, match="no gradient"):
            require_alive(model, sources)
    else:
        require_alive(model, sources)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert model.global_pool.drop.p == 0.5


def test_a_model_without_adapters_is_not_run():
    model, _ = create_backbone("test_vit", "none", 3, (32, 32))
    require_alive(model, iter(lambda: pytest.fail("ran"), None))


def test_nan_is_no_life():
    model = vit()
    nan = (loss / loss.detach() * float("nan") for loss in losses(model, []))
    with pytest.raises(ValueError, match="the loss of batch 1 is nan before any step"):
        require_alive(model, nan)


def test_how_many_batches_were_seen_is_said():
    model, _ = create_backbone("test_vit", "none", 3, (32, 32))
    model.blocks[1].mlp = Cut(model.blocks[1].mlp)
    inject(model, rank=2, alpha=2.0, targets="dense")
    with pytest.raises(ValueError, match="no gradient from 1 real batches"):
        require_alive(model, losses(model, [], count=1))
