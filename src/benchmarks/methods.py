"""The ways to train that are compared, each a function that makes a plain timm model trainable in place."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..lora import inject
from ..lora.surgery import freeze_norm, make_adaptable
from ..lora.targets import classifiers, select, sites
from ..package import install_line

RANK, ALPHA = 8, 8.0


def shared_layers(model: nn.Module) -> list[str]:
    """Return the names of the dense layers that PEFT can adapt too: whole modules that are Linear or Conv2d."""
    return [site.name for site in select(model, "dense") if isinstance(site.module, (nn.Linear, nn.Conv2d))]


def keep_statistics(model: nn.Module) -> None:
    """Keep every norm with running statistics in eval mode, in place."""
    for module in model.modules():
        if any(name.startswith("running_") for name in module._buffers):
            freeze_norm(module)


def full(model: nn.Module) -> nn.Module:
    """Train every weight."""
    return model


def full_fast(model: nn.Module) -> nn.Module:
    """Train every weight, with Graft's own gradients of depthwise convolutions."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            make_adaptable(module, ("weight",))
    return model


def head(model: nn.Module) -> nn.Module:
    """Train the head on the frozen, folded backbone."""
    inject(model, RANK, ALPHA, targets=[])
    return model


def peft(model: nn.Module) -> nn.Module:
    """Train PEFT's LoRA on the shared layers, and the head, with the frozen norms in eval mode.

    PEFT as it comes leaves them in train mode: slower, and their statistics drift.

    Raises:
        ValueError: PEFT is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed: {install_line('dev')} to compare with PEFT") from error
    keep_statistics(model)
    names = "|".join(re.escape(name) for name in shared_layers(model))  # a string is matched whole, a list by endings
    adapted: nn.Module = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=int(ALPHA), target_modules=names))
    for classifier in classifiers(model):
        classifier.requires_grad_(True)
    return adapted


def graft(model: nn.Module) -> nn.Module:
    """Train Graft's LoRA on the shared layers, and the head."""
    inject(model, RANK, ALPHA, shared_layers(model))
    return model


def graft_all(model: nn.Module) -> nn.Module:
    """Train Graft's LoRA on every layer, and the head."""
    inject(model, RANK, ALPHA, "all")
    return model


def floor(model: nn.Module) -> nn.Module:
    """Train nothing, and take the gradient of every layer's input but the first's: the work that any adapter needs."""
    inject(model, RANK, ALPHA, targets=[])
    model.requires_grad_(False)
    anchor = torch.zeros((), requires_grad=True)
    first = sites(model)[0].module
    first.register_forward_hook(lambda module, args, output: _Start.apply(output, anchor))
    return model


class _Start(torch.autograd.Function):
    """The identity, behind which gradients are taken though nothing before requires one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor) -> Tensor:
        ctx.mark_dirty(x)  # the layers behind may then work in place, as they do in a training
        return x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[None, None]:
        return None, None


METHODS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "full": full,
    "full_fast": full_fast,
    "head": head,
    "peft": peft,
    "graft": graft,
    "graft_all": graft_all,
    "floor": floor,
}
