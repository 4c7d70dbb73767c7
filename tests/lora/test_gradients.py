import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from src.lora.gradients import LowRankConv2d, LowRankLinear, matrix_gradients, merged, thin_is_cheaper


def factors(out, fan_in, rank):
    return torch.randn(out, rank, dtype=torch.double), torch.randn(rank, fan_in, dtype=torch.double)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.integers(1, 60), st.integers(1, 60), st.integers(1, 3))
def test_both_orders_of_the_products_are_the_derivative(rows, out, fan_in, rank):
    torch.manual_seed(rows * 1000 + out)
    b, a = factors(out, fan_in, rank)
    g, x = torch.randn(rows, out, dtype=torch.double), torch.randn(rows, fan_in, dtype=torch.double)
    grad_b, grad_a = matrix_gradients(g, x, b, a)
    dense = g.T @ x
    torch.testing.assert_close(grad_b, dense @ a.T)
    torch.testing.assert_close(grad_a, b.T @ dense)


def test_thin_products_are_taken_only_where_they_cost_less():
    assert thin_is_cheaper(384, 1536, 8)
    assert not thin_is_cheaper(16, 32, 8)


@pytest.mark.parametrize("shape", [(3, 7), (2, 5, 7), (2, 2, 3, 7)])
def test_linear_passes_gradcheck(shape):
    torch.manual_seed(0)
    b, a = factors(6, 7, 2)
    x, weight, bias = (torch.randn(s, dtype=torch.double) for s in (shape, (6, 7), (6,)))
    inputs = [t.requires_grad_() if t is not weight else t for t in (x, weight, b, a, bias)]
    assert torch.autograd.gradcheck(LowRankLinear.apply, inputs)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups"),
    [(1, 1, 0, 1, 1), (1, 2, 0, 1, 1), (3, 1, 1, 1, 1), (3, 2, 1, 1, 1), (3, 1, 2, 2, 1), (3, 1, 1, 1, 2)],
)
@pytest.mark.parametrize("channels_last", [True, False])
def test_conv_gradients_are_those_of_the_merged_weight(kernel, stride, padding, dilation, groups, channels_last):
    torch.manual_seed(0)
    for channels in (4, 48):  # a layer where the dense product is cheaper, and one where the thin ones are
        fan_in = channels // groups * kernel * kernel
        b, a = factors(channels, fan_in, 2)
        weight = torch.randn(channels, channels // groups, kernel, kernel, dtype=torch.double)
        x = torch.randn(2, channels, 6, 6, dtype=torch.double)
        x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
        bias = torch.randn(channels, dtype=torch.double)
        geometry = ((stride,) * 2, (padding,) * 2, (dilation,) * 2, groups)
        inputs = [t.requires_grad_() for t in (x, b, a, bias)]
        y = LowRankConv2d.apply(x, weight, b, a, bias, geometry)
        expected = F.conv2d(x, merged(weight, b, a), bias, *geometry)
        assert torch.equal(y, expected)
        upstream = torch.randn_like(y)
        actual = torch.autograd.grad(y, inputs, upstream)
        for mine, theirs in zip(actual, torch.autograd.grad(expected, inputs, upstream), strict=True):
            torch.testing.assert_close(mine, theirs)


def test_frozen_input_and_bias_get_no_gradient():
    b, a = (t.requires_grad_() for t in factors(6, 7, 2))
    x, weight = torch.randn(3, 7, dtype=torch.double), torch.randn(6, 7, dtype=torch.double)
    LowRankLinear.apply(x, weight, b, a, None).sum().backward()
    assert x.grad is None and b.grad is not None
