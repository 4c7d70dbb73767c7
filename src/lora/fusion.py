"""A ReLU behind a folded norm that the convolution applies as well, while gradients are taken.

oneDNN does it in the same pass. Nobody else may see what lies between: neither another reader in the model, which is
asked for once, nor a hook, which may come and go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.module import _has_any_global_hook

from .look import Example, Unseen, agree, look, looking, most, read
from .notes import forget, note, noted

NOTE = "fusion"
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class Fusion:
    """What a conv remembers: the name of the activation, and the modules behind it up to that one."""

    act: str
    behind: tuple[nn.Module, ...]


def fuse(conv: nn.Module, norm: nn.Module, act: nn.Module) -> None:
    """Let `conv` apply `act` too, the ReLU that follows the norm which is folded into it."""
    note(conv, NOTE, Fusion(type(act).__name__, (*norm.modules(), act)))


def fused_activation(conv: nn.Module) -> str | None:
    """Return the name of the activation that `conv` is to apply now, if it is one and nobody looks in between."""
    fusion: Fusion | None = noted(conv, NOTE)
    return None if fusion is None or any(map(is_hooked, (conv, *fusion.behind))) else fusion.act


def part(conv: nn.Module) -> None:
    """Let `conv` apply no activation any more."""
    forget(conv, NOTE)


def check_fusions(model: nn.Module, example: Example | None = None) -> None:
    """Let convs apply no ReLU whose input has another reader: where gradients are taken, that one would see it too.

    Asked of the frozen model: what it says with gradients is what it says without.
    """
    fused = [module for module in model.modules() if noted(module, NOTE) is not None]
    if not fused:
        return

    def same(some: Sequence[nn.Module]) -> bool:
        with looking(model), torch.enable_grad():
            for conv in fused:
                if conv not in some:
                    part(conv)
            return agree(read(model, seen), before)

    kept: list[nn.Module] = []
    try:
        seen, before = look(model, example, lambda tried: read(model, tried))
        kept = most(fused, same)
    except Unseen:  # it ran when the norms were folded, and does not any more: fuse nothing
        pass
    for conv in fused:
        if conv not in kept:
            part(conv)


def is_hooked(module: nn.Module) -> bool:
    """Tell whether somebody looks at what goes through `module`, forward or backward."""
    everywhere = bool(_has_any_global_hook())  # type: ignore[no-untyped-call]
    return everywhere or any(module.__dict__.get(table) for table in HOOKS)
