"""oneDNN's operators, which are private to torch: probed once, with torch's public operators where they fail."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

# Stride, padding, dilation, groups.
Geometry = tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]
# By class of the module: oneDNN's name and arguments.
ACTIVATIONS: dict[str, tuple[str, list[float]]] = {"ReLU": ("relu", []), "ReLU6": ("hardtanh", [0.0, 6.0])}


def takes(x: Tensor) -> bool:
    """Return whether oneDNN computes in the precision of x on this processor."""
    if type(x) is FakeTensor:  # a probe with fake values would be cached for true tensors
        return False
    return x.device.type == "cpu" and bool(torch.backends.mkldnn.enabled) and _knows(x.dtype)


def cpu_has_bf16() -> bool:
    """Return whether this processor has instructions for bf16 products."""
    return "AVX512" in torch.backends.cpu.get_cpu_capability() and _supports_bf16()


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return the product of two matrices; in fp32 on a CPU by oneDNN, where torch would call MKL.

    On Zen 4 with two threads it takes 0.76 to 0.98 of the time for g W, and 0.6 to 0.9 for the low-rank products of
    1576 x 384 x 1152 and 25088 x 64 x 256. A dense dW, which sums over the rows, stays with torch: oneDNN is slower.
    """
    # oneDNN refuses a sum over no elements.
    if left.dtype != torch.float32 or left.shape[1] == 0 or not takes(left):
        return left @ right
    return _linear(left, right.T)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, act: str | None) -> Tensor:
    """Return act(conv2d(x, weight) + bias), in one pass where oneDNN can.

    oneDNN's ReLU turns NaN into 0. Forwards without gradients do not call this, so that validation still shows a NaN.
    """
    if act is None or not takes(x):
        return activate(F.conv2d(x, weight, bias, *geometry), act)
    return _convolution(x, weight, bias, geometry, act)


def activate(y: Tensor, act: str | None) -> Tensor:
    """Apply the activation of this name to `y`, in place."""
    if act is None:
        return y
    return y.relu_() if act == "ReLU" else y.clamp_(0, 6)


def _linear(x: Tensor, weight: Tensor) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return found


def _convolution(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, act: str) -> Tensor:
    stride, padding, dilation, groups = geometry
    fused: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, padding, stride, dilation, groups, *ACTIVATIONS[act], ""
    )
    return fused


# Expected of [[1, 2], [7, -4]] + 1.
_CUT = {"ReLU": [2.0, 3.0, 8.0, 0.0], "ReLU6": [2.0, 3.0, 6.0, 0.0]}


@functools.cache
def _knows(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return (dtype == torch.float32 or (dtype == torch.bfloat16 and _supports_bf16())) and _works(dtype)


def _supports_bf16() -> bool:
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False


def _works(dtype: torch.dtype) -> bool:
    """Return whether the operators exist and give exact results on small whole numbers."""
    x = torch.tensor([[1.0, 2.0], [7.0, -4.0]], dtype=dtype, device="cpu")
    bias = torch.tensor([1.0], dtype=dtype, device="cpu")
    geometry: Geometry = ((1, 1), (0, 0), (1, 1), 1)
    try:
        with torch.no_grad():
            products = [_linear(x, x).tolist()] if dtype == torch.float32 else []
            cut = {act: _convolution(x[None, None], x[None, None, :1, :1], bias, geometry, act) for act in ACTIVATIONS}
    except (AttributeError, TypeError, RuntimeError):  # removed, or with other arguments
        return False
    right = products in ([], [[[5.0, -1.0], [-1.0, 65.0]]])
    return right and {act: y.flatten().tolist() for act, y in cut.items()} == _CUT
