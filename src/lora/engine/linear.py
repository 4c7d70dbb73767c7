"""A linear layer with weight W + B A, whose backward computes the dense dW only where that is cheaper."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .modes import differentiable
from .products import LOW, adding_is_cheaper, full_precision, low_rank_gradients, merged
from .recompute import Origin


class LowRankLinear(torch.autograd.Function):
    """y = x (W + B A)^T + bias, for x of rows x fan_in or with more leading dimensions; W is frozen."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, b: Tensor, a: Tensor, bias: Tensor | None, origin: Origin | None = None
    ) -> Tensor:
        """Apply the layer; where there is an `origin`, the backward recomputes x from it, and x is not saved."""
        plain, b_low, a_low = weight.to(x.dtype), b.to(x.dtype), a.to(x.dtype)
        rows, hidden = x.reshape(-1, x.shape[-1]), None
        out, fan_in = weight.shape
        # In fp32 always the merged weight: another rounding could flip a ReLU behind the layer.
        adds = x.dtype in LOW and adding_is_cheaper(len(rows), out, fan_in, fan_in)
        y = F.linear(x, plain if adds else merged(plain, b_low, a_low), bias)
        if adds:
            hidden = a_low @ rows.T
            y.view(-1, out).addmm_(hidden.T, b_low.T)
        ctx.remake = None if origin is None else origin.remake
        ctx.shape, ctx.bias = x.shape, bias is not None and ctx.needs_input_grad[4]
        ctx.save_for_backward(x if origin is None else origin.source, plain, b, a, hidden)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, B, A and the bias."""
        x, plain, b, a, hidden = ctx.saved_tensors
        x = x if ctx.remake is None else ctx.remake(x).to(g.dtype)
        with full_precision(g):
            rows = g.reshape(-1, g.shape[-1])
            bias = rows.sum(0) if ctx.bias else None
            b_low, a_low = b.to(g.dtype), a.to(g.dtype)
            if torch.is_grad_enabled():

                def layer(x: Tensor, b: Tensor, a: Tensor) -> Tensor:
                    return F.linear(x, merged(plain, b.to(g.dtype), a.to(g.dtype)))

                grad_x, grad_b, grad_a = differentiable(layer, (x.reshape(ctx.shape), b, a), g)
                return grad_x, None, grad_b, grad_a, bias, None
            x = x.reshape(-1, x.shape[-1])
            grad_x, grad_b, grad_a = low_rank_gradients(rows, x, plain, b_low, a_low, hidden, ctx.needs_input_grad[0])
        grad_x = None if grad_x is None else grad_x.view(ctx.shape)
        return grad_x, None, grad_b.to(b.dtype), grad_a.to(a.dtype), bias, None
