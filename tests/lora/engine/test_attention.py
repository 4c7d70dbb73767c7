import pytest
import torch
import torch.nn.functional as F

import src.lora.engine.attention as attention
from src.lora.engine.attention import Attention, FastAttention


def tokens(dtype=torch.bfloat16, size=8, scale=1.0, requires_grad=True):
    torch.manual_seed(0)
    qkv = (scale * torch.randn(2, 13, 3, 4, size)).to(dtype).permute(2, 0, 3, 1, 4)
    return [x.detach().requires_grad_(requires_grad) for x in qkv.unbind(0)]


def test_gradients_in_double_are_torchs():
    q, k, v = tokens(torch.double)
    ours, theirs = Attention.apply(q, k, v, 0.3), F.scaled_dot_product_attention(q, k, v, scale=0.3)
    assert torch.equal(ours, theirs)
    g = torch.randn_like(ours)
    for mine, other in zip(
        torch.autograd.grad(ours, (q, k, v), g), torch.autograd.grad(theirs, (q, k, v), g), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)  # the scores are taken in fp32


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_in_bf16_they_are_as_near_to_the_exact_ones_as_torchs(scale):
    q, k, v = tokens(scale=scale)
    exact = [x.detach().double().requires_grad_() for x in (q, k, v)]
    g = torch.randn(2, 4, 13, 8).bfloat16()
    expected = torch.autograd.grad(F.scaled_dot_product_attention(*exact), exact, g.double())
    theirs = torch.autograd.grad(F.scaled_dot_product_attention(q, k, v), (q, k, v), g)
    with FastAttention():
        y = F.scaled_dot_product_attention(q, k, v)
    assert type(y.grad_fn).__name__ == "AttentionBackward"
    ours = torch.autograd.grad(y, (q, k, v), g)
    for mine, other, true in zip(ours, theirs, expected, strict=True):
        assert (mine.double() - true).norm() <= 2 * (other.double() - true).norm()


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({"is_causal": True}, None),
        ({"attn_mask": torch.zeros(13, 13, dtype=torch.bfloat16)}, None),
        ({"dropout_p": 0.1}, None),
        ({}, torch.float32),
        ({}, "frozen"),
        ({}, "long"),
    ],
)
def test_all_else_stays_torchs(options, change, monkeypatch):
    dtype = change if isinstance(change, torch.dtype) else torch.bfloat16
    q, k, v = tokens(dtype, requires_grad=change != "frozen")
    if change == "long":
        monkeypatch.setattr(attention, "MOST_SCORES", 10)
    with FastAttention():
        y = F.scaled_dot_product_attention(q, k, v, **options)
    assert type(y.grad_fn).__name__ != "AttentionBackward"


def test_default_arguments_and_autocast_are_taken():
    q, k, v = tokens(torch.float32)
    with FastAttention(), torch.autocast("cpu", dtype=torch.bfloat16):
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False)
    assert type(y.grad_fn).__name__ == "AttentionBackward" and y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert q.grad.dtype == torch.float32
