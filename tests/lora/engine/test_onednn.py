import functools

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import src.lora.engine.onednn as onednn
from src.lora import inject
from tests.lora.conftest import gradients, images, outputs, relative, stir
from tests.lora.test_training_modes import TOLERANCE, assert_close


class Called(TorchDispatchMode):
    """The names of the operators that were called."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.name())
        return func(*args, **(kwargs or {}))


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # `flags` sets what no CPU has, too
@pytest.mark.parametrize("enabled", [True, False])
def test_products_in_float32_go_to_onednn_while_it_is_enabled(enabled):
    if not onednn.takes(torch.zeros(1)):
        pytest.skip("this torch has no oneDNN")
    with torch.backends.mkldnn.flags(enabled=enabled), Called() as called:
        onednn.product(torch.randn(3, 4), torch.randn(4, 5))
    assert ("mkldnn::_linear_pointwise" in called.names) == enabled
    assert ("aten::mm" in called.names) != enabled


def test_onednn_is_asked_for_bf16_only_where_the_processor_has_it(monkeypatch):
    assert onednn._knows(torch.float32) == torch.backends.mkldnn.is_available() and not onednn._knows(torch.float64)
    monkeypatch.setattr(onednn, "_knows", functools.cache(onednn._knows.__wrapped__))
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not onednn.takes(torch.zeros(1, dtype=torch.bfloat16))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(0, 4, 5), (4, 0, 5), (0, 0, 0), (1, 1, 3), (37, 48, 20)])
def test_the_product_is_the_exact_one_in_every_layout(shape, dtype):
    rows, out, fan_in = shape
    g, weight = torch.randn(rows, out, dtype=dtype), torch.randn(out, fan_in, dtype=dtype)
    expected = (g.double() @ weight.double()).to(dtype)
    torch.testing.assert_close(onednn.product(g, weight), expected)
    torch.testing.assert_close(onednn.product(g.T.contiguous().T, weight), expected)
    torch.testing.assert_close(onednn.product(g, weight.T.contiguous().T), expected)


def gone(*args):
    raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_linear_pointwise'")


def other(*args):
    raise TypeError("mkldnn::_convolution_pointwise() missing value for argument 'algorithm'")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("operator", "now"),
    [
        ("_linear", gone),
        ("_convolution", gone),
        ("_convolution", other),
        ("_convolution", lambda x, weight, bias, geometry, act: x * weight + bias),  # the activation is not applied
        ("_linear", lambda x, weight: x @ weight),  # the weight is meant the other way round
    ],
)
def test_an_operator_that_is_gone_or_means_something_else_is_not_called_again(operator, now, dtype, monkeypatch):
    if not onednn.takes(torch.zeros(1, dtype=dtype)):
        pytest.skip("this processor's oneDNN does not take it in any case")
    monkeypatch.setattr(onednn, operator, now)
    monkeypatch.setattr(onednn, "_knows", functools.cache(onednn._knows.__wrapped__))
    probed = dtype == torch.float32 or operator == "_convolution"  # products in bf16 are torch's
    assert onednn.takes(torch.zeros(1, dtype=dtype)) != probed
    onednn.product(torch.randn(3, 4).to(dtype), torch.randn(4, 5).to(dtype))


def test_without_the_operators_a_model_learns_the_same(base, monkeypatch):
    x = images(base)
    inject(base, rank=4)
    stir(base)
    expected, expected_gradients = outputs(base, x), gradients(base, x)
    for operator in ("_linear", "_convolution"):
        monkeypatch.setattr(onednn, operator, gone)
    monkeypatch.setattr(onednn, "_knows", functools.cache(onednn._knows.__wrapped__))
    assert relative(outputs(base, x), expected) <= TOLERANCE
    assert_close(gradients(base, x), expected_gradients)


def test_what_a_tensor_without_values_says_is_not_kept(monkeypatch):
    expected = onednn.takes(torch.zeros(1))
    monkeypatch.setattr(onednn, "_knows", functools.cache(onednn._knows.__wrapped__))
    with FakeTensorMode():
        assert not onednn.takes(torch.zeros(1)) and onednn.product(torch.zeros(2, 3), torch.zeros(3, 4)).shape == (2, 4)
    assert onednn.takes(torch.zeros(1)) == expected
