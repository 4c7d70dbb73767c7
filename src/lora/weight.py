"""The adapted weight as its readers see it: a tensor that is W + B A, and knows its cheap gradients.

`LowRankWeight` is read like any weight. `F.linear` and `F.conv2d` get their own autograd function; every other reader
(weight standardisation, `multi_head_attention_forward`, ...) gets the dense sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.utils import _pair
from torch.utils._pytree import tree_map

from src.lora.gradients import LowRankConv2d, LowRankLinear, merged


class LowRankWeight(torch.Tensor):
    """W + B A; an alias of the frozen W that carries B (out x rank, scaling included) and A (rank x fan_in)."""

    base: Tensor
    b: Tensor
    a: Tensor

    @staticmethod
    def of(base: Tensor, b: Tensor, a: Tensor) -> LowRankWeight:
        """Return the weight W + B A of a frozen `base`."""
        weight = base.detach().as_subclass(LowRankWeight)
        weight.base, weight.b, weight.a = base, b, a
        return weight

    def dense(self) -> Tensor:
        """Return the sum as a plain tensor, in the graph of B and A."""
        with torch._C.DisableTorchFunctionSubclass():
            return merged(self.base, self.b, self.a)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Give linear and conv2d their cheap gradients, shapes and dtypes their answer, all others the dense sum."""
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if func in _FACTS:
                return func(*args, **kwargs)
            if func is F.linear and _only_weight(args, kwargs):
                return _linear(*args, **kwargs)
            if func is torch.conv2d and _only_weight(args, kwargs) and not isinstance(_padding(args, kwargs), str):
                return _conv2d(*args, **kwargs)
            args, kwargs = tree_map(_dense, (tuple(args), kwargs))
        return func(*args, **kwargs)


_FACTS = {
    torch.Tensor.size,
    torch.Tensor.dim,
    torch.Tensor.numel,
    torch.Tensor.stride,
    torch.Tensor.is_floating_point,
    *(
        getattr(torch.Tensor, name).__get__
        for name in ("shape", "dtype", "device", "ndim", "layout", "is_cuda", "is_sparse", "is_mkldnn", "requires_grad")
    ),
}


def _dense(value: Any) -> Any:
    return merged(value.base, value.b, value.a) if isinstance(value, LowRankWeight) else value


def _only_weight(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether the weight is adapted, and nothing else is."""
    weight = args[1] if len(args) > 1 else kwargs.get("weight")
    values = [*args, *kwargs.values()]
    return isinstance(weight, LowRankWeight) and sum(isinstance(value, LowRankWeight) for value in values) == 1


def _padding(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return args[4] if len(args) > 4 else kwargs.get("padding", 0)


def _linear(input: Tensor, weight: LowRankWeight, bias: Tensor | None = None) -> Tensor:
    input, bias = _autocast(input, bias)
    # torch flattens such an input too; done outside of the function, the result is no view and may be changed in place
    flat = input.flatten(0, -2) if input.ndim > 2 and input.is_contiguous() else input
    with torch.autocast(input.device.type, enabled=False):
        result: Tensor = LowRankLinear.apply(flat, weight.base, weight.b, weight.a, bias)
    return result.view(*input.shape[:-1], -1) if flat is not input else result


def _conv2d(
    input: Tensor,
    weight: LowRankWeight,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    input, bias = _autocast(input, bias)
    geometry = (_pair(stride), _pair(padding), _pair(dilation), groups)
    with torch.autocast(input.device.type, enabled=False):
        result: Tensor = LowRankConv2d.apply(input, weight.base, weight.b, weight.a, bias, geometry)
    return result


def _autocast(input: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Cast as autocast would, since an autograd function of our own is not on its list."""
    device = input.device.type
    if not torch.is_autocast_enabled(device):
        return input, bias
    dtype = torch.get_autocast_dtype(device)
    return input.to(dtype), None if bias is None else bias.to(dtype)
