"""The gradient of a layer whose weight is W + B A, without the dense dW where the thin products are cheaper.

The forward is the layer's own kernel on the merged weight, so its bits are those of the merged model. The backward
recomputes the merged weight (small) instead of saving it, and takes dA and dB through the rank (RunLoRA,
arXiv 2312.03415, chooses the order of the products for language models in the same way).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Thin products are bound by memory and by their eight columns: measured on AVX2, the dense dW is faster below this.
THIN_FACTOR = 6.0


def merged(weight: Tensor, b: Tensor, a: Tensor) -> Tensor:
    """Return W + B A in W's shape and precision; every reader of an adapted weight takes this sum, so bits agree."""
    with torch.autocast(weight.device.type, enabled=False):  # it would round W before the sum, and lose small updates
        return torch.addmm(weight.flatten(1), b, a).view(weight.shape)


def thin_is_cheaper(out: int, fan_in: int, rank: int) -> bool:
    """Tell whether two products through the rank beat one dense dW, per row of the input."""
    return out * fan_in >= THIN_FACTOR * rank * (out + fan_in)


def matrix_gradients(g: Tensor, x: Tensor, b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Return dB (out x rank) and dA (rank x fan_in) of y = x (W + B A)^T, from g: N x out and x: N x fan_in."""
    b, a = b.to(g.dtype), a.to(g.dtype)
    if thin_is_cheaper(g.shape[1], x.shape[1], a.shape[0]):
        return g.T @ (x @ a.T), (g @ b).T @ x
    dense = g.T @ x
    return dense @ a.T, b.T @ dense


class LowRankLinear(torch.autograd.Function):
    """y = x (W + B A)^T + bias."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, b: Tensor, a: Tensor, bias: Tensor | None) -> Tensor:
        """Apply the linear layer to x: ... x fan_in."""
        ctx.save_for_backward(x, weight, b, a)
        return F.linear(x, merged(weight, b, a).to(x.dtype), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, B, A and the bias; W is frozen."""
        x, weight, b, a = ctx.saved_tensors
        with torch.autocast(g.device.type, enabled=False):
            rows = g.reshape(-1, g.shape[-1])
            grad_x = (rows @ merged(weight, b, a).to(g.dtype)).view(x.shape) if ctx.needs_input_grad[0] else None
            grad_b, grad_a = matrix_gradients(rows, x.reshape(-1, x.shape[-1]), b, a)
            bias = rows.sum(0) if ctx.needs_input_grad[4] else None
        return grad_x, None, grad_b.to(b.dtype), grad_a.to(a.dtype), bias


class LowRankConv2d(torch.autograd.Function):
    """y = conv2d(x, W + B A) + bias, with W flattened to out x (in / groups * height * width)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, b: Tensor, a: Tensor, bias: Tensor | None, geometry: Any
    ) -> Tensor:
        """Apply the convolution to x: N x C x H x W; geometry is (stride, padding, dilation, groups)."""
        ctx.save_for_backward(x, weight, b, a)
        ctx.geometry = geometry
        return F.conv2d(x, merged(weight, b, a).to(x.dtype), bias, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, B, A and the bias; W is frozen."""
        x, weight, b, a = ctx.saved_tensors
        with torch.autocast(g.device.type, enabled=False):
            if x.is_contiguous(memory_format=torch.channels_last):
                g = g.contiguous(memory_format=torch.channels_last)
            pointwise = weight.shape[2:] == (1, 1) and tuple(ctx.geometry) == ((1, 1), (0, 0), (1, 1), 1)
            gradients = _pointwise if pointwise else _spatial
            grad_x, grad_b, grad_a = gradients(g, x, weight, b, a, ctx.geometry, ctx.needs_input_grad[0])
            bias = g.sum((0, 2, 3)) if ctx.needs_input_grad[4] else None
        return grad_x, None, grad_b.to(b.dtype), grad_a.to(a.dtype), bias, None


def _pointwise(
    g: Tensor, x: Tensor, weight: Tensor, b: Tensor, a: Tensor, geometry: Any, wants_x: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    """A 1 x 1 convolution is a matrix product over N * H * W; channels-last makes that a view."""
    rows = g.permute(0, 2, 3, 1).reshape(-1, g.shape[1])
    grad_x = None
    if wants_x:
        product = rows @ merged(weight, b, a).flatten(1).to(g.dtype)
        grad_x = product.view(g.shape[0], *g.shape[2:], -1).permute(0, 3, 1, 2)
    grad_b, grad_a = matrix_gradients(rows, x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]), b, a)
    return grad_x, grad_b, grad_a


def _spatial(
    g: Tensor, x: Tensor, weight: Tensor, b: Tensor, a: Tensor, geometry: Any, wants_x: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    out, rank = b.shape
    thin = geometry[3] == 1 and thin_is_cheaper(out, a.shape[1], rank)
    full = merged(weight, b, a).to(g.dtype) if wants_x or not thin else weight.to(g.dtype)
    b, a = b.to(g.dtype), a.to(g.dtype)
    grad_x, dense = _convolution_gradients(g, x, full, geometry, wants_x, not thin)
    if dense is not None:
        return grad_x, dense.flatten(1) @ a.T, b.T @ dense.flatten(1)
    filters = a.view(rank, *weight.shape[1:])
    hidden = F.conv2d(x, filters, None, *geometry)
    grad_b = _rows(g).T @ _rows(hidden)
    grad_hidden = F.conv2d(g, b.T[:, :, None, None])
    _, grad_filters = _convolution_gradients(grad_hidden, x, filters, geometry, False, True)
    assert grad_filters is not None
    return grad_x, grad_b, grad_filters.flatten(1)


def _rows(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _convolution_gradients(
    g: Tensor, x: Tensor, weight: Tensor, geometry: Any, wants_x: bool, wants_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    stride, padding, dilation, groups = geometry
    if not (wants_x or wants_weight):
        return None, None
    grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
        g, x, weight, None, stride, padding, dilation, False, [0, 0], groups, [wants_x, wants_weight, False]
    )
    return grad_x, grad_weight
