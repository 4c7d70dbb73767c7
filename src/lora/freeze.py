"""Freeze a backbone but its heads, and make what is frozen lean."""

from __future__ import annotations

from timm.layers.activations import GELU, GELUTanh, QuickGELU, Swish
from torch import nn

from .fold import is_folded
from .surgery import freeze_norm, make_adaptable, make_recomputable, speed_attention
from .targets import adaptable, classifiers

RECOMPUTABLE = (nn.LayerNorm, nn.GroupNorm, nn.GELU, nn.SiLU, nn.Hardswish, GELU, GELUTanh, QuickGELU, Swish)
SURE = (*RECOMPUTABLE, nn.Identity, nn.ReLU)  # gives the same again: no dropout inside


def freeze(model: nn.Module) -> None:
    """Stop every parameter but the heads' and every running statistic, and make what is frozen lean."""
    model.requires_grad_(False)
    heads = {id(module) for head in classifiers(model) for module in head.modules()}
    for head in classifiers(model):
        head.requires_grad_(True)
    for module in model.modules():
        if any(name.startswith("running_") for name in module._buffers.keys()) and not is_folded(module):
            freeze_norm(module)
        if id(module) not in heads:
            _make_lean(module)


def _make_lean(module: nn.Module) -> None:
    """Give a module its cheaper backward, if it has one."""
    attributes = tuple(adaptable(module))
    if attributes:
        make_adaptable(module, attributes)
    if isinstance(module, RECOMPUTABLE) and all(isinstance(part, SURE) for part in module.modules()):
        make_recomputable(module)
    if isinstance(module, nn.MultiheadAttention) or getattr(module, "fused_attn", False):
        speed_attention(module)
