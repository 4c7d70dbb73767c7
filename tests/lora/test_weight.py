import pytest
import torch
import torch.nn.functional as F

from src.lora.gradients import LowRankConv2d, LowRankLinear, merged
from src.lora.weight import LowRankWeight


def adapted(*shape):
    torch.manual_seed(0)
    base = torch.randn(shape)
    b, a = torch.randn(shape[0], 2), torch.randn(2, base[0].numel())
    return LowRankWeight.of(base, b.requires_grad_(), a.requires_grad_()), merged(base, b, a)


@pytest.mark.parametrize(
    ("read", "route"),
    [
        (lambda w, x: F.linear(x, w), "LowRankLinearBackward"),
        (lambda w, x: F.linear(input=x, weight=w, bias=None), "LowRankLinearBackward"),
        (lambda w, x: torch.nn.functional.linear(x, weight=w), "LowRankLinearBackward"),
        (lambda w, x: x @ w.t(), "MmBackward0"),
        (lambda w, x: F.linear(x, w * 2) / 2, "DivBackward0"),
    ],
)
def test_linear_readers_get_the_sum(read, route):
    weight, dense = adapted(5, 7)
    x = torch.randn(3, 7)
    y = read(weight, x)
    torch.testing.assert_close(y, x @ dense.T)
    assert type(y) is torch.Tensor
    assert type(y.grad_fn).__name__ == route


def test_conv_readers_get_the_sum():
    weight, dense = adapted(4, 3, 3, 3)
    x = torch.randn(2, 3, 8, 8)
    for options in ({}, {"stride": 2, "padding": 1}, {"padding": "same"}, {"dilation": (2, 1)}):
        torch.testing.assert_close(F.conv2d(x, weight, **options), F.conv2d(x, dense, **options))
    assert isinstance(F.conv2d(x, weight).grad_fn, LowRankConv2d._backward_cls)
    torch.testing.assert_close(torch.std_mean(weight, dim=(1, 2, 3))[0], torch.std_mean(dense, dim=(1, 2, 3))[0])


def test_facts_cost_no_sum(monkeypatch):
    weight, dense = adapted(4, 3, 3, 3)
    monkeypatch.setattr("src.lora.weight.merged", lambda *_: pytest.fail("summed for a fact"))
    assert weight.shape == dense.shape and weight.dtype == dense.dtype and weight.ndim == 4
    assert weight.size(1) == 3 and weight.numel() == dense.numel() and weight.device == dense.device


def test_an_output_may_be_changed_in_place():
    weight, dense = adapted(5, 7)
    x = torch.randn(2, 3, 7)
    y = F.linear(x, weight)
    y += 1
    y.sum().backward()
    torch.testing.assert_close(y.detach(), F.linear(x, dense.detach()) + 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_its_dtype_and_returns_full_gradients(dtype):
    weight, dense = adapted(5, 7)
    x = torch.randn(3, 7, requires_grad=True)
    with torch.autocast("cpu", dtype=dtype):
        y = F.linear(x, weight)
    assert y.dtype == dtype
    y.float().sum().backward()
    assert x.grad.dtype == weight.b.grad.dtype == weight.a.grad.dtype == torch.float32
    torch.testing.assert_close(x.grad, dense.detach().sum(0).expand(3, 7), rtol=0.05, atol=0.05)


def test_linear_function_is_the_one_used():
    weight, _ = adapted(5, 7)
    assert isinstance(F.linear(torch.randn(3, 7), weight).grad_fn, LowRankLinear._backward_cls)
