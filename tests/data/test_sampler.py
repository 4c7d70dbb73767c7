import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.sampler import Draw, EpochSampler, mix


def order(size: int, seed: int, epoch: int) -> list[Draw]:
    sampler = EpochSampler(size, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


@given(st.integers(1, 50), st.integers(0, 2**32), st.integers(0, 500))
@settings(deadline=None, max_examples=50)
def test_every_epoch_draws_every_item_once(size, seed, epoch):
    drawn = order(size, seed, epoch)
    assert sorted(draw.item for draw in drawn) == list(range(size))
    assert {draw.epoch for draw in drawn} == {epoch}
    assert len(EpochSampler(size, seed)) == size


def test_the_order_depends_on_seed_and_epoch_alone():
    first = order(30, 1, 4)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    assert order(30, 1, 4) == first
    assert torch.equal(torch.get_rng_state(), state)
    orders = {tuple(draw.item for draw in order(30, seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_mix_tells_near_numbers_apart_and_refuses_negative_ones():
    assert len({mix(seed, epoch, item) for seed in range(8) for epoch in range(8) for item in range(8)}) == 512
    with pytest.raises(ValueError, match="non-negative"):
        mix(-1, 0)
