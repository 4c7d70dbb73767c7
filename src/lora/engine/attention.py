"""A faster backward of attention for short sequences in bf16 and fp16 on a CPU.

torch's own (`_scaled_dot_product_flash_attention_for_cpu_backward`, torch 2.14) takes seven times its forward there.
The scores of 197 tokens are small enough to be computed at once, without blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .modes import autocast_dtype, differentiable
from .products import full_precision

# Scores of all heads of a batch: more do not fit the cache, and torch's blocks are faster.
MOST_SCORES = 4_000_000


class Attention(torch.autograd.Function):
    """softmax(scale Q K^T) V, for Q, K and V of batch x heads x tokens x size."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """Apply torch's own attention."""
        ctx.save_for_backward(q, k, v)
        ctx.scale = scale
        return F.scaled_dot_product_attention(q, k, v, scale=scale)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of Q, K and V; scores are computed in fp32, as in the forward."""
        if torch.is_grad_enabled():
            return *differentiable(lambda q, k, v: _attend(q, k, v, ctx.scale), ctx.saved_tensors, g), None
        heads = ctx.saved_tensors[0].shape[:2]
        # One copy of each here, where every product below would make its own.
        q, k, v, g = (x.flatten(0, 1) for x in (*ctx.saved_tensors, g))
        with full_precision(g):
            p = (q.float().mul_(ctx.scale) @ k.float().mT).softmax(-1).to(g.dtype)
            grad_scores = torch.ops.aten._softmax_backward_data(g @ v.mT, p, -1, g.dtype)
            gradients = (grad_scores @ k).mul_(ctx.scale), (grad_scores.mT @ q).mul_(ctx.scale), p.mT @ g
        return *(gradient.unflatten(0, heads) for gradient in gradients), None


def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Return the attention by operators that can be differentiated twice, unlike torch's own on a CPU."""
    with full_precision(q):
        return (q.float().mul(scale) @ k.float().mT).softmax(-1).to(q.dtype) @ v


class FastAttention(TorchFunctionMode):
    """Route calls of `scaled_dot_product_attention` to `Attention` where that is faster."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Route plain attention of three tensors; call everything else as it is."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and _plain(args, kwargs):
            q, k, v = map(_autocast, args)
            if _faster(q, k, v):
                scale = kwargs.get("scale")
                return Attention.apply(q, k, v, q.shape[-1] ** -0.5 if scale is None else scale)
        return func(*args, **kwargs)


def _plain(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Return whether a call asks for no mask, dropout, causality or grouped heads."""
    asked = {key for key, value in kwargs.items() if value is not None and value is not False and key != "scale"}
    return len(args) == 3 and (not asked or (asked == {"dropout_p"} and not kwargs["dropout_p"]))


def _autocast(x: Tensor) -> Tensor:
    """Cast as autocast would: it does not know our autograd functions."""
    dtype = autocast_dtype(x)
    return x if dtype is None else x.to(dtype)


def _faster(q: Tensor, k: Tensor, v: Tensor) -> bool:
    low = q.device.type == "cpu" and q.dtype in (torch.bfloat16, torch.float16) and q.dtype == k.dtype == v.dtype
    alike = q.ndim == 4 and q.shape[:2] == k.shape[:2] == v.shape[:2]
    learns = torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad)
    return low and alike and learns and q.shape[:3].numel() * k.shape[2] <= MOST_SCORES
