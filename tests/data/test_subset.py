from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data import Sample
from src.data.splits import split
from src.data.subset import require_cells, subset, without_parted
from tests.data.test_splits import ROOT, names, plain


@given(plain(), st.integers(0, 99), st.data())
@settings(deadline=None, max_examples=60)
def test_a_subset_has_the_asked_size_and_every_class_in_each_split(samples, seed, data):
    placed = [
        replace(sample, split=name) for sample, name in zip(samples, split(samples, names(samples), ROOT), strict=True)
    ]
    cells = {(sample.split, sample.label) for sample in placed}
    limit = data.draw(st.integers(len(cells), len(placed) + 5))
    kept = subset(placed, ROOT, limit, seed=seed)
    assert kept == sorted(set(kept))
    assert len(kept) == min(limit, len(placed))
    assert {(placed[position].split, placed[position].label) for position in kept} == cells
    with pytest.raises(ValueError, match=f"give {len(cells)} or more"):
        subset(placed, ROOT, len(cells) - 1)


def test_a_subset_keeps_the_proportions():
    placed = [
        Sample(Path(str(index)), "a" if index % 4 else "b", ("train", "train", "test")[index % 3])
        for index in range(240)
    ]
    kept = Counter((placed[position].split, placed[position].label) for position in subset(placed, ROOT, 60))
    assert kept == pytest.approx({("train", "a"): 30, ("train", "b"): 10, ("test", "a"): 15, ("test", "b"): 5}, abs=1)


def in_splits(*splits):
    return [Sample(Path(str(place)), "a", name) for place, name in enumerate(splits)]


def test_one_of_equal_pictures_in_two_splits_goes_and_no_more():
    samples = in_splits("train", "test", "train", "val", "val")
    every = {sample.path for sample in samples}

    def left(pairs, free=every):
        return names(without_parted(samples, pairs, free))

    assert left([(0, 2), (3, 4)]) == ["0", "1", "2", "3", "4"]
    assert left([(0, 1), (1, 2)]) == ["0", "2", "3", "4"]  # a chain is cut once
    assert left([(0, 1)], every - {Path("1")}) == ["1", "2", "3", "4"]
    assert left([(0, 1)], set()) == ["0", "1", "2", "3", "4"]  # the source parts them, which the data gate tells


def test_a_class_that_lost_its_last_image_of_a_split_is_told():
    samples = in_splits("train", "test", "train")
    require_cells(samples, samples[:2], 3)
    with pytest.raises(ValueError, match=r"data\.limit=3 leaves class 'a' without an image in test.*: raise it"):
        require_cells(samples, samples[::2], 3)
