import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import src.lora.engine.products as products
from src.lora.engine.products import (
    adding_is_cheaper,
    low_rank_gradients,
    merged,
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


@pytest.mark.parametrize("rows", [0, 37, 500])
@pytest.mark.parametrize(("out", "fan_in"), [(20, 30), (160, 200)])  # by a dense dW, and through the rank
def test_the_derivative_in_float32_is_that_in_double(rows, out, fan_in):
    torch.manual_seed(0)
    exact = [torch.randn(*shape, dtype=torch.double) for shape in ((rows, out), (rows, fan_in), (out, fan_in))]
    exact += factors(out, fan_in, 4)
    found = low_rank_gradients(*(tensor.float() for tensor in exact), None, wants_x=True)
    for gradient, expected in zip(found, low_rank_gradients(*exact, None, wants_x=True), strict=True):
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-4, atol=1e-4)


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
