"""Prepare a plain model for adapters: norms folded, everything but the heads frozen, and what is frozen made lean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from timm.layers.activations import GELU, GELUTanh, QuickGELU, Swish
from torch import nn

from .adapters import Adapter
from .fingerprint import Fingerprint
from .fold import fold_norms as fold
from .fold import is_folded
from .fusion import check_fusions
from .look import Example
from .notes import noted
from .surgery import Grafted, freeze_norm, make_adaptable, make_recomputable, speed_attention
from .targets import adaptable, classifiers

NOTE = "injection"
RECOMPUTABLE = (nn.LayerNorm, nn.GroupNorm, nn.GELU, nn.SiLU, nn.Hardswish, GELU, GELUTanh, QuickGELU, Swish)
SURE = (*RECOMPUTABLE, nn.Identity, nn.ReLU)  # gives the same again: no dropout inside


@dataclass(frozen=True)
class Rootstock:
    """A frozen base that waits for adapters: its fingerprint, how many norms are folded, and what it was before."""

    base: Fingerprint
    folded: int
    thawed: tuple[str, ...] = field(repr=False)
    held: Mapping[str, bool] = field(default_factory=dict, repr=False)


def prepare(model: nn.Module, fold_norms: bool, base: Fingerprint, example: Example | None = None) -> Rootstock:
    """Freeze a plain `model` but its heads, in place, with its batch norms folded where asked for.

    Raises:
        ValueError: The model has adapters, or does not run on `example`.
    """
    if is_adapted(model):
        raise ValueError("this model has adapters already: merge or remove them first")
    thawed = tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    held = {name: module.training for name, module in model.named_modules() if module.training != model.training}
    folded = fold(model, example) if fold_norms else 0
    freeze(model)
    check_fusions(model, example)
    return Rootstock(base, folded, thawed, held)


def is_adapted(model: nn.Module) -> bool:
    """Tell whether `model`, or any part of it, is prepared or adapted."""
    return noted(model, NOTE) is not None or any(isinstance(m, (Adapter, Grafted)) for m in model.modules())


def freeze(model: nn.Module) -> None:
    """Freeze all parameters but the heads' and all running statistics, and make what is frozen lean."""
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
