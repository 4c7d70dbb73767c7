"""A convolution with a frozen or adapted weight: cheap gradients, and the ReLU behind it in the same pass.

On a CPU the convolution applies ReLU and ReLU6 to its output while that is in the cache; their backward needs only the
output. torch's input gradient of strided depthwise convolutions in bf16 takes 14 to 140 times the forward; a forward
convolution with the flipped kernel gives the same in one to four.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .modes import differentiable
from .onednn import ACTIVATIONS as ACTIVATIONS
from .onednn import Geometry, activate, convolve
from .products import (
    LOW,
    adding_is_cheaper,
    full_precision,
    low_rank_gradients,
    merged,
    thin_gradients_are_cheaper,
)
from .recompute import Origin


class LeanConv2d(torch.autograd.Function):
    """act(conv2d(x, W + B A) + bias) for x of N x C x H x W; without a pair the weight is W."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        b: Tensor | None,
        a: Tensor | None,
        bias: Tensor | None,
        geometry: Geometry,
        act: str | None = None,
        origin: Origin | None = None,
    ) -> Tensor:
        """Apply the layer; where there is an `origin`, the backward recomputes x from it, and x is not saved."""
        ctx.geometry, ctx.act, ctx.shape = geometry, act, x.shape
        ctx.remake = None if origin is None else origin.remake
        ctx.format = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else None
        plain, hidden = weight.to(x.dtype), None
        if b is None or a is None:
            y = convolve(x, plain, bias, geometry, act)
        else:
            b_low, a_low = b.to(x.dtype), a.to(x.dtype)
            if _adds(x, plain, geometry):
                y = F.conv2d(x, plain, bias, *geometry)
                hidden = F.conv2d(x, a_low.view(-1, *weight.shape[1:]), None, *geometry)
                y = activate(y.add_(F.conv2d(hidden, b_low[:, :, None, None])), act)
            else:
                y = convolve(x, merged(plain, b_low, a_low), bias, geometry, act)
        # Without a pair and with W frozen, only the shape of x is needed: nothing is saved.
        reads = b is not None or ctx.needs_input_grad[1]
        kept = None if not reads else x if origin is None else origin.source
        own = weight if ctx.needs_input_grad[1] else plain
        ctx.save_for_backward(kept, own, b, a, hidden, y if act is not None else None)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, W, B, A and the bias."""
        x, weight, b, a, hidden, y = ctx.saved_tensors
        if ctx.remake is not None and x is not None:
            x = ctx.remake(x).to(g.dtype)
        wants_x, wants_weight, *_ = ctx.needs_input_grad
        with full_precision(g):
            # In the memory format of x: mixed formats cost a copy in every kernel.
            g = _activation_gradient(g if ctx.format is None else g.contiguous(memory_format=ctx.format), y, ctx.act)
            bias = g.sum((0, 2, 3)) if ctx.needs_input_grad[4] else None
            plain = weight.to(g.dtype)
            if torch.is_grad_enabled():
                return _differentiable(ctx, g, x, weight, b, a, bias)
            if b is None or a is None:
                grad_x = convolution_input_gradient(g, ctx.shape, plain, ctx.geometry) if wants_x else None
                dense = convolution_weight_gradient(g, x, plain, ctx.geometry).to(weight) if wants_weight else None
                return grad_x, dense, None, None, bias, None, None, None
            gradients = _pointwise if _is_pointwise(weight, ctx.geometry) else _spatial
            b_low, a_low = b.to(g.dtype), a.to(g.dtype)
            grad_x, grad_b, grad_a = gradients(g, x, plain, b_low, a_low, hidden, ctx.geometry, wants_x)
        return grad_x, None, grad_b.to(b.dtype), grad_a.to(a.dtype), bias, None, None, None


def _differentiable(
    ctx: Any, g: Tensor, x: Tensor | None, weight: Tensor, b: Tensor | None, a: Tensor | None, bias: Tensor | None
) -> tuple[Tensor | None, ...]:
    """Return what `backward` returns, as part of a graph; g is the gradient of the convolution's own output."""
    if x is None:  # not saved, as no gradient depends on its values
        x = g.new_zeros(ctx.shape, requires_grad=True)

    def layer(x: Tensor, weight: Tensor, *pair: Tensor) -> Tensor:
        low = weight.to(g.dtype)
        full = merged(low, *(value.to(g.dtype) for value in pair)) if pair else low
        return F.conv2d(x, full, None, *ctx.geometry)

    pair = () if b is None or a is None else (b, a)
    grad_x, grad_weight, *grads = differentiable(layer, (x, weight, *pair), g)
    return grad_x, grad_weight, *(grads or (None, None)), bias, None, None, None


def _activation_gradient(g: Tensor, y: Tensor, act: str | None) -> Tensor:
    """Return g where the activation was not cut off: where its output y is inside its range."""
    if act is None:
        return g
    if act == "ReLU":
        return torch.ops.aten.threshold_backward(g, y, 0.0)  # type: ignore[no-any-return]
    return torch.ops.aten.hardtanh_backward(g, y, 0.0, 6.0)  # type: ignore[no-any-return]


def _adds(x: Tensor, weight: Tensor, geometry: Geometry) -> bool:
    """Return whether adding the low-rank branch is cheaper than merging; never in fp32, as in `linear.py`."""
    stride, _, _, groups = geometry
    rows = x.shape[0] * (x.shape[2] // stride[0]) * (x.shape[3] // stride[1])
    return x.dtype in LOW and groups == 1 and adding_is_cheaper(rows, len(weight), x.shape[1], weight[0].numel())


def _is_pointwise(weight: Tensor, geometry: Geometry) -> bool:
    _, padding, _, groups = geometry
    return tuple(weight.shape[2:]) == (1, 1) and tuple(padding) == (0, 0) and groups == 1


def _rows(x: Tensor) -> Tensor:
    """Return N x C x H x W as N*H*W x C, a view where x is channels-last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _pointwise(
    g: Tensor, x: Tensor, weight: Tensor, b: Tensor, a: Tensor, hidden: Tensor | None, geometry: Geometry, wants_x: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return the gradients of a 1 x 1 convolution, a matrix product over the pixels that its stride reads."""
    rows, met = _rows(g), _rows(x[:, :, :: geometry[0][0], :: geometry[0][1]])
    hidden = None if hidden is None else _rows(hidden).T
    grad_x, grad_b, grad_a = low_rank_gradients(rows, met, weight.flatten(1), b, a, hidden, wants_x)
    if grad_x is not None:
        grad_x = _spread(grad_x.view(g.shape[0], *g.shape[2:], x.shape[1]).permute(0, 3, 1, 2), x, geometry)
    return grad_x, grad_b, grad_a


def _spread(met: Tensor, like: Tensor, geometry: Geometry) -> Tensor:
    """Return zeros of the shape of `like` with `met` at the pixels that the stride reads."""
    if geometry[0] == (1, 1):
        return met
    whole = torch.zeros_like(like, dtype=met.dtype)
    whole[:, :, :: geometry[0][0], :: geometry[0][1]] = met
    return whole


def _spatial(
    g: Tensor, x: Tensor, weight: Tensor, b: Tensor, a: Tensor, hidden: Tensor | None, geometry: Geometry, wants_x: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    out, rank = b.shape
    groups, filters = geometry[3], a.view(rank, *weight.shape[1:])
    adds = groups == 1 and adding_is_cheaper(g[:, 0].numel(), x.shape[1], out, weight[0].numel())
    thin = groups == 1 and thin_gradients_are_cheaper(out, a.shape[1], rank, g)
    grad_x = None
    # B^T g, the gradient of the hidden channels, serves both the gradient of x and that of A.
    hidden_g = F.conv2d(g, b.T[:, :, None, None]) if thin or adds else g
    if wants_x:
        full = weight if adds else merged(weight, b, a)
        grad_x = convolution_input_gradient(g, x.shape, full, geometry)
        if adds:
            grad_x += convolution_input_gradient(hidden_g, x.shape, filters, geometry)
    if not thin:
        dense = convolution_weight_gradient(g, x, weight, geometry).flatten(1)
        return grad_x, dense @ a.T, b.T @ dense
    hidden = F.conv2d(x, filters, None, *geometry) if hidden is None else hidden
    grad_b = (_rows(hidden).T @ _rows(g)).T
    return grad_x, grad_b, convolution_weight_gradient(hidden_g, x, filters, geometry).flatten(1)


def convolution_input_gradient(g: Tensor, shape: torch.Size, weight: Tensor, geometry: Geometry) -> Tensor:
    """Return the gradient of a convolution's input of `shape`, N x C x H x W."""
    stride, padding, dilation, groups = geometry
    if _flips(g, weight, geometry):
        return _flipped(g, shape, weight, geometry)
    last = g.is_contiguous(memory_format=torch.channels_last)
    # The operator reads the shape and the format of its input argument, but no values.
    unread = torch.empty(
        shape, dtype=g.dtype, device=g.device, memory_format=torch.channels_last if last else torch.contiguous_format
    )
    grad_x: Tensor = torch.ops.aten.convolution_backward(
        g, unread, weight, None, stride, padding, dilation, False, [0, 0], groups, [True, False, False]
    )[0]
    return grad_x


def convolution_weight_gradient(g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Return the gradient of a convolution's weight, in the weight's shape."""
    stride, padding, dilation, groups = geometry
    if _is_depthwise(weight, geometry) and g.device.type == "cpu" and g.dtype in LOW and max(weight.shape[2:]) > 3:
        g, x, dtype = g.float(), x.float(), weight.dtype  # 2 to 5 times as fast as bf16
        return convolution_weight_gradient(g, x, weight.float(), geometry).to(dtype)
    grad_weight: Tensor = torch.ops.aten.convolution_backward(
        g, x, weight, None, stride, padding, dilation, False, [0, 0], groups, [False, True, False]
    )[1]
    return grad_weight


def _is_depthwise(weight: Tensor, geometry: Geometry) -> bool:
    return weight.shape[1] == 1 and geometry[3] == weight.shape[0] > 1


def _flips(g: Tensor, weight: Tensor, geometry: Geometry) -> bool:
    """Return whether the flipped forward is faster: depthwise on a CPU; strided only in half precision."""
    stride, padding, dilation, _ = geometry
    fits = all(d * (k - 1) >= p for d, k, p in zip(dilation, weight.shape[2:], padding, strict=True))
    quick = g.device.type == "cpu" and (g.dtype in LOW or (g.dtype == torch.float32 and stride == (1, 1)))
    return fits and quick and _is_depthwise(weight, geometry)


def _flipped(g: Tensor, shape: torch.Size, weight: Tensor, geometry: Geometry) -> Tensor:
    """Return the input gradient as a forward convolution of g, with zeros between its pixels for a stride."""
    stride, padding, dilation, groups = geometry
    reach = [d * (k - 1) - p for d, k, p in zip(dilation, weight.shape[2:], padding, strict=True)]
    if stride != (1, 1):
        height, width = (size + p - r for size, p, r in zip(shape[2:], padding, reach, strict=True))
        spread = g.new_zeros(shape[0], height, width, shape[1]).permute(0, 3, 1, 2)
        spread[:, :, :: stride[0], :: stride[1]] = g
        g = spread
    return F.conv2d(g, weight.flip(2, 3), None, 1, reach, dilation, groups)
