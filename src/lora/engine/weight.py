"""The weight of a prepared layer as its readers see it while gradients are computed.

`LeanWeight` is read like any weight. `F.linear` and `F.conv2d` run the autograd functions of `linear.py` and
`convolution.py`; every other reader (weight standardisation, `multi_head_attention_forward`, ...) gets the dense sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.utils import _pair
from torch.utils._pytree import tree_map

from .convolution import LeanConv2d
from .linear import LowRankLinear
from .modes import autocast_dtype
from .products import merged
from .readonly import ReadOnly
from .recompute import origin_of


def activated(output: Tensor, name: str) -> Tensor:
    """Mark `output` as the result of the activation called `name`, and return it."""
    output._graft_activated = (name, output._version)  # type: ignore[attr-defined]
    return output


def is_activated(output: Tensor, name: str) -> bool:
    """Return whether `output` is the unchanged result of the activation called `name`, which is idempotent."""
    # The mark first: a tensor of inference mode has no version.
    noted = getattr(output, "_graft_activated", None)
    return noted is not None and noted == (name, output._version)


class LeanWeight(torch.Tensor):
    """W + B A, or W alone; an alias of W that carries B (out x rank, scaling included) and A (rank x fan_in).

    `act` names the activation that conv2d applies as well, a key of `src.lora.engine.convolution.ACTIVATIONS`.
    """

    base: Tensor
    b: Tensor | None
    a: Tensor | None
    act: str | None

    @classmethod
    def of(cls, base: Tensor, b: Tensor | None = None, a: Tensor | None = None) -> Self:
        """Return the weight W + B A, or W alone, for W of `base`."""
        # Detached: gradients flow through the autograd functions, not through this alias.
        weight = base.detach().as_subclass(cls)
        weight.base, weight.b, weight.a, weight.act = base, b, a, None
        return weight

    def dense(self) -> Tensor:
        """Return the sum as a plain tensor, with a graph to B and A."""
        with torch._C.DisableTorchFunctionSubclass():
            return self.base if self.b is None or self.a is None else merged(self.base, self.b, self.a)

    def read(self) -> Tensor:
        """Return what readers get that do not know B and A."""
        return self.dense()

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run linear and conv2d with cheap gradients, answer shapes and dtypes, and give others the dense sum."""
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if func in _FACTS:
                return func(*args, **kwargs)
            if func is F.linear and _only_weight(args, kwargs):
                return _linear(*args, **kwargs)
            if func is torch.conv2d and _only_weight(args, kwargs) and _is_common(args, kwargs):
                return _conv2d(*args, **kwargs)
            args, kwargs = tree_map(_dense, (tuple(args), kwargs))
        return func(*args, **kwargs)


class AdaptedWeight(LeanWeight, ReadOnly):  # type: ignore[misc]
    """A lean weight with an adapter: computed at each read, and therefore read-only."""

    def plain(self) -> Tensor:
        """Return the dense sum."""
        return self.dense()

    def read(self) -> Tensor:
        """Return the dense sum, read-only as well."""
        return self.dense().as_subclass(ReadOnly)


# What is answered without computing the sum.
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
    return value.read() if isinstance(value, LeanWeight) else value


def _only_weight(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether the weight is lean and no other argument is."""
    weight = args[1] if len(args) > 1 else kwargs.get("weight")
    values = [*args, *kwargs.values()]
    return isinstance(weight, LeanWeight) and sum(isinstance(value, LeanWeight) for value in values) == 1


def _is_common(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether a convolution is that of a batch, with its padding as numbers."""
    images: Tensor = args[0] if args else kwargs["input"]
    padding = args[4] if len(args) > 4 else kwargs.get("padding", 0)
    return images.ndim == 4 and not isinstance(padding, str)


def _linear(input: Tensor, weight: LeanWeight, bias: Tensor | None = None) -> Tensor:
    origin = origin_of(input)
    input, bias = _autocast(input, bias)
    if weight.b is None or weight.a is None:
        return F.linear(input, weight.base.to(input.dtype), bias)
    # Flattened here, not in the function: its output is then no view and may change in place.
    flat = input.flatten(0, -2) if input.ndim > 2 and input.is_contiguous() else input
    result: Tensor = LowRankLinear.apply(flat, weight.base, weight.b, weight.a, bias, origin)
    return result.view(*input.shape[:-1], result.shape[-1]) if flat is not input else result


def _conv2d(
    input: Tensor,
    weight: LeanWeight,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    origin, act = origin_of(input), weight.act
    input, bias = _autocast(input, bias)
    geometry = (_pair(stride), _pair(padding), _pair(dilation), groups)
    result: Tensor = LeanConv2d.apply(input, weight.base, weight.b, weight.a, bias, geometry, act, origin)
    return result if act is None else activated(result, act)


def _autocast(input: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Cast as autocast would: it does not know our autograd functions."""
    dtype = autocast_dtype(input)
    if dtype is None:
        return input, bias
    return input.to(dtype), None if bias is None else bias.to(dtype)
