import numpy as np
import pytest
import torch

from src.lora.pissa import principal


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (8, 3, 3, 3)])
def test_it_is_the_best_approximation_of_its_rank(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    b, a = principal(weight, 4)
    u, s, v = np.linalg.svd(weight.flatten(1).double().numpy(), full_matrices=False)
    sign = np.sign(u[np.abs(u).argmax(0), range(len(s))])
    left, right = (u * sign * np.sqrt(s))[:, :4], ((v.T * sign * np.sqrt(s)).T)[:4]
    np.testing.assert_allclose(left @ right, (u[:, :4] * s[:4]) @ v[:4], atol=1e-12)
    assert torch.equal(b, torch.from_numpy(left).bfloat16().float())  # that pair, cut to bfloat16
    assert torch.equal(a, torch.from_numpy(right).bfloat16().float())
    assert all(column[column.abs().argmax()] > 0 for column in b.T)


def test_another_machines_rounding_gives_the_same_pair(monkeypatch):
    weight, svd = torch.randn(48, 96, generator=torch.Generator().manual_seed(0)), torch.linalg.svd
    b, a = principal(weight, 8)
    generator = torch.Generator().manual_seed(1)

    def elsewhere(*args, **kwargs):
        return [x * (1 + 1e-13 * torch.randn(x.shape, generator=generator)) for x in svd(*args, **kwargs)]

    monkeypatch.setattr(torch.linalg, "svd", elsewhere)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(principal(weight, 8), (b, a), strict=True))


def test_ranks_that_the_weight_lacks_are_zero():
    b, a = principal(torch.ones(3, 20), 5)
    torch.testing.assert_close(b @ a, torch.ones(3, 20), atol=1e-2, rtol=0)
    assert b.shape == (3, 5) and not b[:, 3:].any() and not a[3:].any()
