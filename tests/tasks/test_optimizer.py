"""The optimiser of the defaults: one kernel for all weights, with the values of the plain loop."""

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from src.lora import inject
from src.lora.groups import apply_ratios, parameter_groups
from tests.conftest import ROOT


def trained(dtype, **override):
    """Return the weights of a small network after some steps with two rates, as LoRA+ has them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    inject(model, rank=2, alpha=4.0, targets="all")
    model.to(dtype)
    config = OmegaConf.load(ROOT / "conf/optimizer/adamw.yaml")
    optimizer = apply_ratios(instantiate(config, **override)(parameter_groups(model, 16.0)))
    assert len(optimizer.param_groups) > 1 and optimizer.defaults["fused"] == override.get("fused", True)
    images = torch.randn(8, 3, 8, 8, dtype=dtype)
    for _ in range(20):
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()
    return torch.cat([each.detach().float().flatten() for each in model.parameters() if each.requires_grad])


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 1e-6), (torch.bfloat16, 0.02)])
def test_it_is_fused_and_gives_the_values_of_the_plain_loop(dtype, apart):
    fused, plain = trained(dtype), trained(dtype, fused=False, foreach=False)
    assert (fused - plain).abs().max() <= apart * plain.abs().max() and plain.abs().max() > 0.1
