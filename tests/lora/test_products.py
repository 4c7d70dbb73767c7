import copy
import gc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import src.lora.products as products
from src.lora.products import (
    _copies,
    _onednn_knows,
    adding_is_cheaper,
    forget_copies,
    in_precision,
    low_rank_gradients,
    merged,
    onednn_takes,
    product,
    thin_gradients_are_cheaper,
)


def factors(out, fan_in, rank):
    return torch.randn(out, rank, dtype=torch.double), torch.randn(rank, fan_in, dtype=torch.double)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 300), st.integers(1, 120), st.integers(1, 120), st.integers(1, 3), st.booleans())
def test_all_orders_of_the_products_are_the_derivative(rows, out, fan_in, rank, kept):
    torch.manual_seed(rows * 1000 + out)
    b, a = factors(out, fan_in, rank)
    g, x = torch.randn(rows, out, dtype=torch.double), torch.randn(rows, fan_in, dtype=torch.double)
    weight = torch.randn(out, fan_in, dtype=torch.double)
    grad_x, grad_b, grad_a = low_rank_gradients(g, x, weight, b, a, a @ x.T if kept else None, wants_x=True)
    dense = g.T @ x
    torch.testing.assert_close(grad_x, g @ (weight + b @ a))
    torch.testing.assert_close(grad_b, dense @ a.T)
    torch.testing.assert_close(grad_a, b.T @ dense)
    assert low_rank_gradients(g, x, weight, b, a, None, wants_x=False)[0] is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(0, 4, 5), (4, 0, 5), (0, 0, 0), (1, 1, 3), (37, 48, 20)])
def test_the_product_is_the_exact_one_in_every_layout(shape, dtype):
    rows, out, fan_in = shape
    g, weight = torch.randn(rows, out, dtype=dtype), torch.randn(out, fan_in, dtype=dtype)
    expected = (g.double() @ weight.double()).to(dtype)
    torch.testing.assert_close(product(g, weight), expected)
    torch.testing.assert_close(product(g.T.contiguous().T, weight), expected)
    torch.testing.assert_close(product(g, weight.T.contiguous().T), expected)


@pytest.mark.parametrize("rows", [0, 37, 500])
@pytest.mark.parametrize(("out", "fan_in"), [(20, 30), (160, 200)])  # by a dense dW, and through the rank
def test_the_derivative_in_float32_is_that_in_double(rows, out, fan_in):
    torch.manual_seed(0)
    exact = [torch.randn(*shape, dtype=torch.double) for shape in ((rows, out), (rows, fan_in), (out, fan_in))]
    exact += factors(out, fan_in, 4)
    found = low_rank_gradients(*(tensor.float() for tensor in exact), None, wants_x=True)
    for gradient, expected in zip(found, low_rank_gradients(*exact, None, wants_x=True), strict=True):
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-4, atol=1e-4)


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
    if not onednn_takes(torch.zeros(1)):
        pytest.skip("this torch has no oneDNN")
    with torch.backends.mkldnn.flags(enabled=enabled), Called() as called:
        product(torch.randn(3, 4), torch.randn(4, 5))
    assert ("mkldnn::_linear_pointwise" in called.names) == enabled
    assert ("aten::mm" in called.names) != enabled


def test_onednn_is_asked_for_bf16_only_where_the_processor_has_it(monkeypatch):
    assert _onednn_knows(torch.float32) == torch.backends.mkldnn.is_available() and not _onednn_knows(torch.float64)
    _onednn_knows.cache_clear()
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    try:
        assert not onednn_takes(torch.zeros(1, dtype=torch.bfloat16))
    finally:
        _onednn_knows.cache_clear()


def test_thin_products_are_taken_only_where_they_cost_less(monkeypatch):
    full, half = torch.zeros(1), torch.zeros(1, dtype=torch.bfloat16)
    assert thin_gradients_are_cheaper(384, 1536, 8, full)
    assert not thin_gradients_are_cheaper(16, 96, 8, full)
    assert thin_gradients_are_cheaper(64, 256, 8, full)
    assert not thin_gradients_are_cheaper(64, 256, 32, full)
    monkeypatch.setattr(products, "_has_matrix_units", lambda device: True)  # dense products are quick there
    assert not thin_gradients_are_cheaper(64, 256, 8, half)
    monkeypatch.setattr(products, "_has_matrix_units", lambda device: False)
    assert thin_gradients_are_cheaper(64, 256, 8, half)


def test_few_rows_are_added_and_many_merged():
    assert adding_is_cheaper(392, 3072, 768, 768)
    assert not adding_is_cheaper(25088, 384, 96, 96)


def test_a_channels_last_weight_is_merged_in_its_own_format():
    torch.manual_seed(0)
    b, a = factors(6, 4 * 9, 2)
    weight = torch.randn(6, 4, 3, 3, dtype=torch.double)
    expected = weight + (b @ a).view_as(weight)
    last = merged(weight.contiguous(memory_format=torch.channels_last), b, a)
    torch.testing.assert_close(last, expected)
    torch.testing.assert_close(merged(weight, b, a), expected)
    assert last.is_contiguous(memory_format=torch.channels_last) and not last.is_contiguous()


def test_a_frozen_weight_is_cast_once_and_again_when_it_changes():
    weight = nn.Parameter(torch.randn(4, 5), requires_grad=False)
    copy_ = in_precision(weight, torch.bfloat16)
    assert torch.equal(copy_, weight.bfloat16()) and in_precision(weight, torch.bfloat16) is copy_
    assert in_precision(weight, torch.float32) is weight
    with torch.no_grad():
        weight.add_(1)
    assert torch.equal(in_precision(weight, torch.bfloat16), weight.bfloat16())
    weight.data = torch.zeros(4, 5)
    assert not in_precision(weight, torch.bfloat16).any()


def test_a_trained_weight_keeps_its_graph():
    weight = nn.Parameter(torch.randn(4, 5))
    assert in_precision(weight, torch.bfloat16).requires_grad


@pytest.mark.parametrize("forget", [True, False])
def test_no_copy_outlives_its_model(forget):
    gc.collect()
    before = len(_copies)
    model = nn.Linear(3, 3).requires_grad_(False)
    in_precision(model.weight, torch.bfloat16)
    assert len(_copies) == before + 1
    if forget:
        forget_copies(model)
    else:
        del model
        gc.collect()
    assert len(_copies) == before


def test_a_copied_model_casts_its_own_weight():
    model = nn.Linear(3, 3).requires_grad_(False)
    kept = in_precision(model.weight, torch.bfloat16)
    assert in_precision(copy.deepcopy(model).weight, torch.bfloat16) is not kept
