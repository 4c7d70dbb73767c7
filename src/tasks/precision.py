"""Autocast for optimisation steps only: validation, test and evaluation run in fp32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch.optim import Optimizer

from ..choices import parse_step_precision
from ..lora.engine.onednn import cpu_has_bf16


class StepAutocast(MixedPrecision):
    """Lightning's mixed precision, without autocast around validation, test and prediction.

    Gradients are clipped for a fused optimiser too, which Lightning refuses.
    """

    @contextmanager
    def val_step_context(self) -> Iterator[None]:
        """Run validation in fp32."""
        yield

    test_step_context = val_step_context
    predict_step_context = val_step_context

    def clip_gradients(
        self,
        optimizer: Optimizer,
        clip_val: int | float = 0.0,
        gradient_clip_algorithm: GradClipAlgorithmType = GradClipAlgorithmType.NORM,
    ) -> None:
        """Clip gradients, unscaled ones: a fused optimiser else unscales them in its step, and the scaler knows."""
        if clip_val > 0 and self.scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            self.scaler.unscale_(optimizer)
        Precision.clip_gradients(self, optimizer, clip_val, gradient_clip_algorithm)


def choose_precision(precision: str | int, accelerator: str) -> Precision:
    """Return the precision plugin for `auto`, `32`, `bf16` or `fp16`.

    `auto` is bf16 where the processor multiplies it natively (Ampere and later, AVX512-BF16, AMX), else 32.

    Raises:
        ValueError: An unknown precision, or fp16 without a GPU.
    """
    name = parse_step_precision(precision)
    cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if name == "auto":
        name = "bf16" if (torch.cuda.is_bf16_supported(False) if cuda else cpu_has_bf16()) else "32"
    if name == "fp16" and not cuda:
        raise ValueError("trainer.precision=fp16 needs a GPU: use bf16 or 32 on a CPU")
    if name == "32":
        return Precision()
    return StepAutocast("bf16-mixed" if name == "bf16" else "16-mixed", "cuda" if cuda else "cpu")
