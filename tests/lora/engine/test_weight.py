import pytest
import torch
import torch.nn.functional as F

from src.lora.engine.convolution import LeanConv2d
from src.lora.engine.linear import LowRankLinear
from src.lora.engine.products import merged
from src.lora.engine.weight import LeanWeight, activated, is_activated


def adapted(*shape):
    torch.manual_seed(0)
    base = torch.randn(shape)
    b, a = torch.randn(shape[0], 2), torch.randn(2, base[0].numel())
    return LeanWeight.of(base, b.requires_grad_(), a.requires_grad_()), merged(base, b, a)


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
    assert isinstance(F.conv2d(x, weight).grad_fn, LeanConv2d._backward_cls)
    torch.testing.assert_close(torch.std_mean(weight, dim=(1, 2, 3))[0], torch.std_mean(dense, dim=(1, 2, 3))[0])


def test_a_frozen_weight_is_itself():
    base, x = torch.randn(4, 3, 3, 3), torch.randn(2, 3, 8, 8)
    assert torch.equal(F.conv2d(x, LeanWeight.of(base)), F.conv2d(x, base))
    assert torch.equal(LeanWeight.of(base).flatten(1), base.flatten(1))
    linear = torch.randn(5, 8)
    assert torch.equal(F.linear(x, LeanWeight.of(linear)), F.linear(x, linear))


def test_facts_cost_no_sum(monkeypatch):
    weight, dense = adapted(4, 3, 3, 3)
    monkeypatch.setattr("src.lora.engine.weight.merged", lambda *_: pytest.fail("summed for a fact"))
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
@pytest.mark.parametrize("shape", [(5, 7), (200, 150)])  # dB and dA come from a dense dW, and through the rank
def test_autocast_computes_in_its_dtype_and_returns_the_full_gradients(shape, dtype):
    (out, fan_in), (weight, dense) = shape, adapted(*shape)
    x, upstream = torch.randn(3, fan_in, requires_grad=True), torch.randn(3, out)
    with torch.autocast("cpu", dtype=dtype):
        y = F.linear(x, weight)
    assert y.dtype == dtype
    (y.float() * upstream).sum().backward()
    grad = (upstream.T @ x).detach()
    exact = {x: upstream @ dense.detach(), weight.b: grad @ weight.a.detach().T, weight.a: weight.b.detach().T @ grad}
    for leaf, expected in exact.items():
        assert leaf.grad.dtype == torch.float32
        # every factor and every product on the way is rounded by half an eps at most
        assert (leaf.grad - expected).norm() <= 2 * torch.finfo(dtype).eps * expected.norm()


def test_linear_function_is_the_one_used():
    weight, _ = adapted(5, 7)
    assert isinstance(F.linear(torch.randn(3, 7), weight).grad_fn, LowRankLinear._backward_cls)


def test_an_activated_output_is_known_until_it_changes():
    y = activated(torch.ones(3), "ReLU")
    assert is_activated(y, "ReLU") and not is_activated(y, "ReLU6") and not is_activated(y + 0, "ReLU")
    y.sub_(2)
    assert not is_activated(y, "ReLU")


def test_the_weight_asks_for_its_activation():
    weight, dense = adapted(4, 3, 3, 3)
    weight.act = "ReLU6"
    x = torch.randn(2, 3, 8, 8)
    y = F.conv2d(x, weight)
    torch.testing.assert_close(y, F.relu6(F.conv2d(x, dense)))
    assert is_activated(y, "ReLU6")
