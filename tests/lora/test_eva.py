import copy
import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import TruncatedSVD
from timm.layers import StdConv2d
from torch import nn

from src.lora import adapters, eva, inject
from src.lora.eva import leading
from tests.lora.conftest import build, images, outputs


def span(rows):
    return np.linalg.qr(np.asarray(rows, dtype=np.float64).T)[0]


def agree(a, b):
    """Return the smallest cosine between two subspaces, given by rows."""
    return np.linalg.svd(span(a).T @ span(b))[1].min()


def correlated(count, size, rank, seed=0):
    """Return rows that lie near a subspace with falling strengths."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(rank, size, generator=torch.Generator().manual_seed(9))
    rows = torch.randn(count, rank, generator=generator) * torch.logspace(1, -1, rank) @ basis
    return rows + 1e-3 * torch.randn(count, size, generator=generator)


@pytest.mark.parametrize("count", [10, 300])
def test_leading_directions_are_those_of_sklearn(count):
    rows = correlated(count, 40, 6)
    reference = TruncatedSVD(3, algorithm="arpack").fit(rows.double().numpy())
    ours = leading(rows, 3)
    assert agree(ours, reference.components_) > 1 - 1e-9
    np.testing.assert_allclose(ours.norm(dim=1), reference.singular_values_, rtol=1e-6)


def test_a_spans_the_inputs_of_all_batches_and_the_output_stays():
    model = nn.Sequential(nn.Linear(40, 50), nn.Linear(50, 30))
    inject(model, rank=4)
    batches = [correlated(64, 40, 6, seed) for seed in range(3)]
    before = model(batches[0])
    assert eva(model, batches) == ()
    assert torch.equal(model(batches[0]), before)
    first = next(adapters(model))[2]
    assert agree(first.A.detach(), np.linalg.svd(torch.cat(batches).numpy())[2][:4]) > 0.999
    torch.testing.assert_close(first.A.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(8, 24, 3, stride=2, padding=1),
        nn.Conv2d(8, 24, 3, padding="same", dilation=2),
        nn.Conv2d(8, 24, 3, groups=2),
        StdConv2d(8, 24, 3),
    ],
    ids=["strided", "same", "grouped", "standardised"],
)
def test_a_of_a_conv_spans_the_patches_that_it_reads(conv):
    torch.manual_seed(0)
    x = F.interpolate(torch.randn(2, 8, 5, 5), size=(11, 11))
    model = nn.Sequential(conv)
    inject(model, rank=2)
    assert eva(model, [x]) == ()
    # the patches by another way: the derivative of an output value in the weight is the patch under it
    probe = torch.zeros(conv.weight.shape, requires_grad=True)
    y = F.conv2d(x, probe, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    firsts = [y[:, g * 24 // conv.groups].flatten() for g in range(conv.groups)]
    patches = [torch.autograd.grad(v, probe, retain_graph=True)[0].sum(0).flatten() for f in firsts for v in f]
    exact = np.linalg.svd(torch.stack(patches).numpy())[2][:2]
    assert agree(next(adapters(model))[2].A.detach(), exact) > 1 - 1e-6


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_every_layer_is_seen_even_one_that_its_parent_reads(kind):
    model = build("beit")
    inject(model, rank=4, kind=kind)
    before, starts = outputs(model, images(model)), [a.A.detach().clone() for _, _, a in adapters(model)]
    model.train()
    assert eva(model, [images(model)]) == () and model.training
    assert torch.equal(outputs(model.eval(), images(model)), before)
    assert not any(torch.equal(a.A, start) for (_, _, a), start in zip(adapters(model), starts, strict=True))
    copy.deepcopy(model)


def test_a_layer_that_cannot_be_seen_is_named(caplog):
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.last = nn.MultiheadAttention(16, 4, batch_first=True), nn.Linear(16, 16)

        def forward(self, x):
            return self.last(self.attention(x, x, x)[0])

    model = Attends().eval()
    inject(model, rank=2)
    with caplog.at_level(logging.WARNING):
        unseen = eva(model, [torch.randn(2, 3, 16)])
    assert "attention" in unseen and "last" not in unseen and "attention" in caplog.text


def test_refuses_what_has_begun_and_what_is_empty():
    model = build("vit")
    with pytest.raises(ValueError, match="fresh from inject"):
        eva(model, [images(model)])
    inject(model, rank=2)
    with pytest.raises(ValueError, match="at least one batch"):
        eva(model, [])
    inject(other := build("vit"), rank=2, init="pissa")
    with pytest.raises(ValueError, match="not init='pissa'"):
        eva(other, [images(other)])
