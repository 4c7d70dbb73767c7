import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import src.lora.engine.convolution as convolution
import src.lora.engine.onednn as onednn
from src.lora.engine.convolution import LeanConv2d, convolution_input_gradient, convolution_weight_gradient
from src.lora.engine.products import LOW, merged, thin_gradients_are_cheaper
from tests.lora.conftest import relative

GEOMETRIES = [(1, 1, 0, 1, 1), (1, 2, 0, 1, 1), (3, 1, 1, 1, 1), (3, 2, 1, 1, 1), (3, 1, 2, 2, 1), (3, 1, 1, 1, 2)]


def gradients(y, inputs):
    torch.manual_seed(1)
    return torch.autograd.grad(y, inputs, torch.randn_like(y))


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), GEOMETRIES)
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("channels", [4, 48, 144])  # a dense product is cheaper, or thin ones, or adding to the output
def test_value_and_gradients_are_those_of_the_merged_weight(
    kernel, stride, padding, dilation, groups, channels_last, channels
):
    torch.manual_seed(0)
    fan_in = channels // groups * kernel * kernel
    b, a = torch.randn(channels, 2, dtype=torch.double), torch.randn(2, fan_in, dtype=torch.double)
    weight = torch.randn(channels, channels // groups, kernel, kernel, dtype=torch.double)
    x = torch.randn(2, channels, 6, 6, dtype=torch.double)
    if channels_last:
        x, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, weight))
    bias = torch.randn(channels, dtype=torch.double)
    geometry = ((stride,) * 2, (padding,) * 2, (dilation,) * 2, groups)
    inputs = [t.requires_grad_() for t in (x, b, a, bias)]
    y = LeanConv2d.apply(x, weight, b, a, bias, geometry)
    expected = F.conv2d(x, merged(weight, b, a), bias, *geometry)
    torch.testing.assert_close(y, expected)
    for mine, theirs in zip(gradients(y, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("name", ["ReLU", "ReLU6"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.double])
@pytest.mark.parametrize("fuses", [True, False])
def test_the_activation_behind_is_torchs_own(name, dtype, fuses, monkeypatch):
    if not fuses:
        monkeypatch.setattr(onednn, "takes", lambda x: False)
    torch.manual_seed(0)
    act = getattr(torch.nn, name)()
    x = (4 * torch.randn(2, 8, 9, 9)).to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    for groups in (1, 8):
        weight, bias = torch.randn(8, 8 // groups, 3, 3).to(dtype), torch.randn(8).to(dtype)
        geometry = ((1, 1), (1, 1), (1, 1), groups)
        y = LeanConv2d.apply(x, weight, None, None, bias, geometry, name)
        expected = act(F.conv2d(x, weight, bias, *geometry))
        assert torch.equal(y, expected) and 0 < (y == 0).sum() < y.numel()
        assert relative(gradients(y, [x])[0].double(), gradients(expected, [x])[0].double()) <= (
            1e-2 if dtype == torch.bfloat16 else 1e-5
        )


def test_the_activation_cuts_after_what_is_added():
    torch.manual_seed(0)
    x, weight = torch.randn(1, 64, 2, 2).bfloat16(), torch.randn(64, 64, 3, 3).bfloat16()
    b, a, geometry = torch.randn(64, 2).bfloat16(), torch.randn(2, 576).bfloat16(), ((1, 1), (1, 1), (1, 1), 1)
    assert convolution._adds(x, weight, geometry) and not convolution._adds(x.float(), weight.float(), geometry)
    y = LeanConv2d.apply(x, weight, b, a, None, geometry, "ReLU")
    expected = F.relu(F.conv2d(x.double(), merged(weight.double(), b.double(), a.double()), None, *geometry))
    assert relative(y.double(), expected) <= 1e-2


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2)])
@pytest.mark.parametrize("channels", [32, 256])  # gradients by a dense dW, and through what the forward added
def test_in_half_precision_gradients_of_what_is_added_are_the_exact_ones_but_for_rounding(
    kernel, stride, channels, dtype
):
    torch.manual_seed(0)
    geometry = ((stride,) * 2, (kernel // 2,) * 2, (1, 1), 1)
    x, weight = torch.randn(1, channels, 4, 4), torch.randn(channels, channels, kernel, kernel)
    b, a = torch.randn(channels, 2), torch.randn(2, channels * kernel * kernel)
    x, weight, b, a = (t.to(dtype) for t in (x, weight, b, a))
    assert convolution._adds(x, weight, geometry)
    assert thin_gradients_are_cheaper(channels, a.shape[1], 2, x) == (channels == 256)
    leaves = [t.requires_grad_() for t in (x, b, a)]
    exact = [t.detach().double().requires_grad_() for t in leaves]
    y = LeanConv2d.apply(x, weight, b, a, None, geometry)
    expected = F.conv2d(exact[0], merged(weight.double(), *exact[1:]), None, *geometry)
    upstream = torch.randn_like(y)
    found = torch.autograd.grad(y, leaves, upstream)
    for mine, true in zip(found, torch.autograd.grad(expected, exact, upstream.double()), strict=True):
        assert mine.dtype == dtype
        assert (mine.double() - true).norm() <= torch.finfo(dtype).eps * true.norm()  # two roundings of half an eps


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 7), st.integers(1, 3), st.integers(0, 4), st.integers(1, 3), st.integers(3, 12), st.integers(3, 12)
)
def test_the_flipped_forward_is_the_input_gradient(kernel, stride, padding, dilation, height, width):
    reach = dilation * (kernel - 1)
    if padding > reach or min(height, width) + 2 * padding <= reach:
        return
    torch.manual_seed(0)
    geometry = ((stride, stride), (padding, padding), (dilation, dilation), 6)
    weight = torch.randn(6, 1, kernel, kernel, dtype=torch.double)
    x = torch.randn(2, 6, height, width, dtype=torch.double, requires_grad=True)
    y = F.conv2d(x, weight, None, *geometry)
    g = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, x, g)
    torch.testing.assert_close(convolution._flipped(g, x.shape, weight, geometry), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2), (7, 1)])
def test_depthwise_gradients_are_torchs(kernel, stride, dtype):
    torch.manual_seed(0)
    geometry = ((stride,) * 2, (kernel // 2,) * 2, (1, 1), 16)
    x, weight = torch.randn(2, 16, 15, 15).to(dtype), torch.randn(16, 1, kernel, kernel).to(dtype)
    exact = [t.double().requires_grad_() for t in (x, weight)]
    y = F.conv2d(*exact, None, *geometry)
    g = torch.randn_like(y).to(dtype)
    expected = torch.autograd.grad(y, exact, g.double())
    actual = (
        convolution_input_gradient(g, x.shape, weight, geometry),
        convolution_weight_gradient(g, x, weight, geometry),
    )
    for mine, theirs in zip(actual, expected, strict=True):
        assert mine.dtype == dtype and relative(mine.double(), theirs) <= (1e-5 if dtype == torch.float32 else 1e-2)


def test_a_frozen_convolution_keeps_nothing_of_its_input():
    x = torch.randn(1, 4, 8, 8, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        LeanConv2d.apply(x * 1, torch.randn(4, 4, 3, 3), None, None, None, ((1, 1), (1, 1), (1, 1), 1)).sum()
    assert [t.shape for t in saved] == [(4, 4, 3, 3)]
