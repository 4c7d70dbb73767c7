"""Products of a frozen W and a low-rank pair B A, each in the order that costs least.

Weights are seen as out x fan_in. Products through the rank are bound by memory, not by arithmetic, so they pay for few
rows of input and not for many (RunLoRA, arXiv 2312.03415, chooses likewise for language models).
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from .modes import autocast_dtype
from .onednn import product


def merged(weight: Tensor, b: Tensor, a: Tensor) -> Tensor:
    """Return W + B A in W's shape, precision and memory format, summed in the higher precision of the two."""
    if weight.dtype != a.dtype:
        return merged(weight.to(torch.promote_types(weight.dtype, a.dtype)), b, a).to(weight.dtype)
    with full_precision(weight):  # autocast would round W before the sum and lose small updates
        if weight.ndim == 4 and not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last):
            # The small A is brought to W's memory order, not W to A's.
            out, channels, height, width = weight.shape
            a = a.view(-1, channels, height, width).permute(0, 2, 3, 1).flatten(1)
            rows = torch.addmm(weight.permute(0, 2, 3, 1).flatten(1), b, a)
            return rows.view(out, height, width, channels).permute(0, 3, 1, 2)
        return torch.addmm(weight.flatten(1), b, a).view(weight.shape)


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """Return a context without autocast on the device of `like`, which costs nothing where autocast is off."""
    return nullcontext() if autocast_dtype(like) is None else torch.autocast(like.device.type, enabled=False)


LOW = (torch.bfloat16, torch.float16)


def thin_gradients_are_cheaper(out: int, fan_in: int, rank: int, like: Tensor) -> bool:
    """Return whether dA and dB through the rank cost less than one dense dW, per row of an input like `like`.

    Below rank 16 the low-rank products are bound by reading g and x, twice each, and dW by arithmetic, so the ratio of
    the two speeds of the processor decides. Measured for 1 x 1 and 3 x 3 convolutions and linear layers with a width
    (`out * fan_in / (out + fan_in)`) of 14 to 460, the two cost the same at 45 to 65 in fp32 on AVX512, at 80 to 100
    in bf16 on AMX, and at 32 to 40 in bf16 on AVX512 alone.
    """
    least = 48 if like.dtype not in LOW else 96 if _has_matrix_units(like.device.type) else 40
    return out * fan_in >= max(least, 3 * rank) * (out + fan_in)


@functools.cache
def _has_matrix_units(device: str) -> bool:
    """Return whether products are many times as fast in half precision as in fp32: tensor cores, or AMX on a CPU."""
    return device != "cpu" or _has_tiles()


def _has_tiles() -> bool:
    try:
        return bool(torch.cpu._is_amx_tile_supported())  # private to torch, so it may be gone
    except (AttributeError, RuntimeError):
        return False


def adding_is_cheaper(rows: int, out: int, channels: int, fan_in: int) -> bool:
    """Return whether adding (x A^T) B^T to `rows` outputs moves fewer bytes than merging B A into the weight."""
    return rows * (2 * out + channels) < 2 * out * fan_in


def low_rank_gradients(
    g: Tensor, x: Tensor, weight: Tensor, b: Tensor, a: Tensor, hidden: Tensor | None, wants_x: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return the gradients of x, of B (out x rank) and of A (rank x fan_in), for y = x (W + B A)^T.

    Low-rank products have the rank as their rows: each row of a result is long, and contiguous in memory.

    Args:
        g: Gradient of y, rows x out.
        x: Input, rows x fan_in.
        weight: W, out x fan_in.
        b: B, out x rank.
        a: A, rank x fan_in.
        hidden: A x^T, rank x rows, where the forward has computed it.
        wants_x: Whether the gradient of x is needed.
    """
    (out, fan_in), rank = weight.shape, len(a)
    if not thin_gradients_are_cheaper(out, fan_in, rank, g):
        dense = g.T @ x if out <= fan_in else (x.T @ g).T
        return product(g, merged(weight, b, a)) if wants_x else None, dense @ a.T, b.T @ dense
    hidden_g, grad_x = product(b.T, g.T), None
    if wants_x:
        # With g B at hand, adding g B A takes 0.70 to 1.05 of the time of merging B A, on Zen 4.
        adds = len(g) < 2 * out
        grad_x = product(g, weight).addmm_(hidden_g.T, a) if adds else product(g, merged(weight, b, a))
    hidden = product(a, x.T) if hidden is None else hidden
    return grad_x, product(hidden, g).T, product(hidden_g, x)
