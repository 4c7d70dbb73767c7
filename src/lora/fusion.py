"""Fuse a ReLU behind a folded norm into the convolution, while gradients are computed.

oneDNN applies it in the same pass. Nothing else may read the value in between: neither another module, for which the
model is checked once, nor a hook, for which each forward checks, as hooks come and go.
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
    """What is kept of a fused conv: the activation's name, and the modules behind the conv up to the activation."""

    act: str
    behind: tuple[nn.Module, ...]


def fuse(conv: nn.Module, norm: nn.Module, act: nn.Module) -> None:
    """Let `conv` apply `act`, the ReLU behind the norm that is folded into `conv`."""
    note(conv, NOTE, Fusion(type(act).__name__, (*norm.modules(), act)))


def fused_activation(conv: nn.Module) -> str | None:
    """Return the activation that `conv` applies in this forward; None where it has none, or a hook reads in between."""
    fusion: Fusion | None = noted(conv, NOTE)
    return None if fusion is None or any(map(is_hooked, (conv, *fusion.behind))) else fusion.act


def part(conv: nn.Module) -> None:
    """Undo `fuse`."""
    forget(conv, NOTE)


def check_fusions(model: nn.Module, example: Example | None = None) -> None:
    """Undo the fusion of every ReLU whose input has another reader, which would read the ReLU's output instead.

    Convs fuse only while gradients are computed, so the outputs of the frozen model with gradients must equal those
    without.
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
    except Unseen:  # it ran before its norms were folded, but not now: fuse nothing
        pass
    for conv in fused:
        if conv not in kept:
            part(conv)


def is_hooked(module: nn.Module) -> bool:
    """Return whether `module` has hooks, forward or backward."""
    everywhere = bool(_has_any_global_hook())  # type: ignore[no-untyped-call]
    return everywhere or any(module.__dict__.get(table) for table in HOOKS)
