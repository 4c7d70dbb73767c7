"""Parameter groups for an optimiser: LoRA+ lets B learn faster than A (arXiv 2402.12354)."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import Optimizer

from .adapters import LowRank


def parameter_groups(model: nn.Module, ratio: float = 1.0) -> list[dict[str, Any]]:
    """Return what `model` trains as groups for an optimiser, each with its `lr_ratio`.

    Args:
        model: An adapted model, or a module that contains one.
        ratio: Learning rate of every B relative to that of the rest; 16 in the paper. With 1 there is one group.

    Raises:
        ValueError: The ratio is not above 0 and finite.
    """
    if not 0 < ratio < float("inf"):
        raise ValueError(f"lora_plus_ratio must be above 0 and finite, not {ratio!r}: 1 is plain LoRA")
    # By type, not by name: a user's own parameter may be called B.
    fast = {id(module.B) for module in model.modules() if isinstance(module, LowRank)} if ratio != 1 else set()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) not in fast], "lr_ratio": 1.0},
        {"params": [p for p in trained if id(p) in fast], "lr_ratio": ratio},
    ]
    return [group for group in groups if group["params"]]


def apply_ratios(optimizer: Optimizer) -> Optimizer:
    """Multiply the learning rate of each group by its `lr_ratio`; call it before a schedule reads the rates."""
    for group in optimizer.param_groups:
        group["lr"] *= group["lr_ratio"]
    return optimizer
