"""Learning-rate schedules, as functions of the optimiser and the number of steps."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(optimizer: Optimizer, total_steps: int, warmup: float = 0.1, floor: float = 0.0) -> LambdaLR:
    """Rise linearly over the first part of the steps, then fall along a half cosine.

    Args:
        optimizer: Holds the peak learning rates.
        total_steps: Number of optimiser steps in the whole training.
        warmup: Part of the steps that rise, 0 to 1.
        floor: Last learning rate as a part of the peak, 0 to 1.

    Raises:
        ValueError: A part is not from 0 to 1.
    """
    if not (0 <= warmup <= 1 and 0 <= floor <= 1):
        raise ValueError(f"scheduler.warmup and scheduler.floor are parts from 0 to 1, not {warmup} and {floor}")
    rising = max(1, round(warmup * total_steps))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        progress = min(1.0, (step - rising) / max(1, total_steps - rising))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)
