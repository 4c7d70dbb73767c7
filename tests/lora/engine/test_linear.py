import pytest
import torch
import torch.nn.functional as F

from src.lora.engine.linear import LowRankLinear
from src.lora.engine.products import LOW, adding_is_cheaper, merged, thin_gradients_are_cheaper
from src.lora.engine.recompute import origin_of, remember
from tests.lora.conftest import relative


def made(rows, out=6, fan_in=7, rank=2):
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(s, dtype=torch.double) for s in ((rows, fan_in), (out, fan_in), (out,)))
    b, a = torch.randn(out, rank, dtype=torch.double), torch.randn(rank, fan_in, dtype=torch.double)
    return x, weight, b, a, bias


@pytest.mark.parametrize("shape", [(3, 7), (40, 7), (2, 5, 7), (2, 2, 3, 7)])
def test_it_passes_gradcheck(shape):
    x, weight, b, a, bias = made(3)
    x = torch.randn(shape, dtype=torch.double)
    inputs = [t.requires_grad_() if t is not weight else t for t in (x, weight, b, a, bias)]
    assert torch.autograd.gradcheck(LowRankLinear.apply, inputs)


@pytest.mark.parametrize("rows", [2, 300])  # the gradient of few takes another product than that of many
@pytest.mark.parametrize(("out", "fan_in"), [(6, 7), (200, 150)])
def test_value_and_gradients_are_those_of_the_merged_weight(rows, out, fan_in):
    x, weight, b, a, bias = made(rows, out, fan_in)
    inputs = [t.requires_grad_() for t in (x, b, a, bias)]
    y, expected = LowRankLinear.apply(x, weight, b, a, bias), F.linear(x, merged(weight, b, a), bias)
    torch.testing.assert_close(y, expected)
    upstream = torch.randn_like(y)
    actual = torch.autograd.grad(y, inputs, upstream)
    for mine, theirs in zip(actual, torch.autograd.grad(expected, inputs, upstream), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [2, 300])  # in bf16 few are added to the output, many are worth a merged weight
def test_a_start_at_zero_changes_no_bit(rows, dtype):
    x, weight, b, a, bias = (t.to(dtype) for t in made(rows, 40, 30))
    assert torch.equal(LowRankLinear.apply(x, weight, b.zero_(), a, bias), F.linear(x, weight, bias))


def test_in_fp32_the_bits_are_those_of_the_merged_weight():
    x, weight, b, a, bias = (t.float() for t in made(2, 400, 300))
    assert torch.equal(LowRankLinear.apply(x, weight, b, a, bias), F.linear(x, merged(weight, b, a), bias))


def test_in_bf16_what_is_added_is_the_pair():
    x, weight, b, a, bias = (t.bfloat16() for t in made(2, 400, 300))
    expected = F.linear(x.double(), merged(weight.double(), b.double(), a.double()), bias.double())
    assert relative(LowRankLinear.apply(x, weight, b, a, bias).double(), expected) <= 1e-2


@pytest.mark.parametrize("dtype", LOW)
# the pair is added in both passes, in the backward alone, in neither; the last weight is worth a dense dW
@pytest.mark.parametrize(
    ("rows", "out", "fan_in", "added", "thin"),
    [(2, 400, 300, True, True), (300, 400, 300, False, True), (900, 400, 300, False, True), (2, 40, 30, True, False)],
)
def test_in_half_precision_gradients_are_the_exact_ones_but_for_rounding(rows, out, fan_in, added, thin, dtype):
    x, weight, b, a, bias = (t.to(dtype) for t in made(rows, out, fan_in))
    assert adding_is_cheaper(rows, out, fan_in, fan_in) == added
    assert thin_gradients_are_cheaper(out, fan_in, 2, x) == thin
    leaves = [t.requires_grad_() for t in (x, b, a, bias)]
    exact = [t.detach().double().requires_grad_() for t in leaves]
    y = LowRankLinear.apply(x, weight, b, a, bias)
    assert (y.grad_fn.saved_tensors[4] is not None) == added  # A x, for the backward
    expected = F.linear(exact[0], merged(weight.double(), *exact[1:3]), exact[3])
    upstream = torch.randn_like(y)
    found = torch.autograd.grad(y, leaves, upstream)
    for mine, true in zip(found, torch.autograd.grad(expected, exact, upstream.double()), strict=True):
        assert mine.dtype == dtype
        assert (mine.double() - true).norm() <= torch.finfo(dtype).eps * true.norm()  # two roundings of half an eps


def test_frozen_input_and_bias_get_no_gradient():
    x, weight, b, a, _ = made(3)
    LowRankLinear.apply(x, weight, b.requires_grad_(), a.requires_grad_(), None).sum().backward()
    assert x.grad is None and b.grad is not None


def test_an_input_that_can_be_made_again_is_not_kept():
    source, weight, b, a, _ = made(300, 40, 30)
    source.requires_grad_()
    kept = {}
    for recompute in (True, False):
        x, leaf = F.gelu(source), b.clone().requires_grad_()
        if recompute:
            x = remember(x, source, F.gelu)
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, saved=saved: saved.append(t) or t, lambda t: t):
            y = LowRankLinear.apply(x, weight, leaf, a, None, origin_of(x))
        kept[recompute] = {t.data_ptr() for t in saved}
        assert (x.data_ptr() in kept[recompute]) == (not recompute)
        y.square().sum().backward()
        kept[recompute, "gradient"] = leaf.grad
    assert source.data_ptr() in kept[True]
    assert torch.equal(kept[True, "gradient"], kept[False, "gradient"])
