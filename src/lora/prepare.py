"""Prepare a plain model for adapters: fold norms, freeze all but the heads, and give frozen layers a lean backward."""

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
# Parts of a recomputable module: all of them deterministic, so that no dropout draws twice.
SURE = (*RECOMPUTABLE, nn.Identity, nn.ReLU)


@dataclass(frozen=True)
class Rootstock:
    """A prepared base: its fingerprint, the number of folded norms, and what `remove` has to restore."""

    base: Fingerprint
    folded: int
    thawed: tuple[str, ...] = field(repr=False)
    held: Mapping[str, bool] = field(default_factory=dict, repr=False)


def prepare(model: nn.Module, fold_norms: bool, base: Fingerprint, example: Example | None = None) -> Rootstock:
    """Fold the batch norms of a plain `model` where asked for, and freeze all but its heads, in place.

    Raises:
        ValueError: The model has adapters, or does not run on `example`.
    """
    if is_adapted(model):
        raise ValueError("this model has adapters already: merge or remove them first")
    thawed = tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    held = {name: module.training for name, module in model.named_modules() if module.training != model.training}
    # Folding first: a frozen norm has another class, and would not be found.
    folded = fold(model, example) if fold_norms else 0
    freeze(model)
    check_fusions(model, example)
    return Rootstock(base, folded, thawed, held)


def is_adapted(model: nn.Module) -> bool:
    """Return whether `model`, or any part of it, is prepared or adapted."""
    return noted(model, NOTE) is not None or any(isinstance(m, (Adapter, Grafted)) for m in model.modules())


def freeze(model: nn.Module) -> None:
    """Freeze all parameters but the heads' and all running statistics, and make what is frozen lean."""
    model.requires_grad_(False)
    heads = {id(module) for head in classifiers(model) for module in head.modules()}
    for head in classifiers(model):
        head.requires_grad_(True)
    for module in model.modules():
        # By its buffers, not by its class: norms of user code drift as well.
        if any(name.startswith("running_") for name in module._buffers.keys()) and not is_folded(module):
            freeze_norm(module)
        if id(module) not in heads:  # a head is trained whole, by torch's own backward
            _make_lean(module)


def _make_lean(module: nn.Module) -> None:
    """Give a module its cheaper backward, where there is one."""
    attributes = tuple(adaptable(module))
    if attributes:
        make_adaptable(module, attributes)
    if isinstance(module, RECOMPUTABLE) and all(isinstance(part, SURE) for part in module.modules()):
        make_recomputable(module)
    if isinstance(module, nn.MultiheadAttention) or getattr(module, "fused_attn", False):
        speed_attention(module)
