from collections import Counter

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


def test_a_balanced_epoch_draws_every_class_equally_often_and_rare_items_in_turn():
    labels = ["a"] * 80 + ["b"] * 16 + ["c"] * 4
    sampler = EpochSampler(100, 0, labels)
    drawn = list(sampler)
    counts = Counter(labels[draw.item] for draw in drawn)
    assert len(drawn) == len(sampler) == 100 and max(counts.values()) - min(counts.values()) <= 1
    rare = Counter(draw.item for draw in drawn if labels[draw.item] == "c")
    assert set(rare) == {96, 97, 98, 99} and max(rare.values()) - min(rare.values()) <= 1
    assert len({(draw.item, draw.again) for draw in drawn}) == 100  # each repeat is augmented anew
    seen = {draw.item for epoch in range(12) for draw in at(sampler, epoch) if labels[draw.item] == "a"}
    assert seen == set(range(80)) and list(at(sampler, 0)) == drawn


def at(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)
