from pathlib import Path

import pytest
import torch

from src.data.dataset_index import Sample
from src.data.targets import soft_targets, targets, weights

A, B = Sample(Path("0"), "a"), Sample(Path("1"), "b")


def test_hard_and_soft_targets():
    half = Sample(Path("2"), "b", soft=(0.25, 0.75))
    assert targets([A, B, half], ("b", "a")) == [1, 0, 0]
    assert soft_targets([A, B], ("a", "b")) == [0, 1]
    assert torch.stack(list(soft_targets([A, B, half], ("a", "b")))).tolist() == [[1, 0], [0, 1], [0.25, 0.75]]


def test_several_labels_and_values_are_vectors():
    several = [Sample(Path("0"), "b", labels=("b", "c")), Sample(Path("1"), "(none)", labels=())]
    assert torch.stack(list(targets(several, ("a", "b", "c")))).tolist() == [[0, 1, 1], [0, 0, 0]]
    assert [each.tolist() for each in targets([Sample(Path("0"), "1", value=1.5)], ("value",))] == [[1.5]]
    assert soft_targets(several, ("a", "b", "c"))[0].tolist() == [0, 1, 1]


def test_weights_have_the_mean_one_and_equal_ones_are_none():
    assert weights([A, B]) is None
    given = weights([Sample(Path("0"), "a", weight=3.0), Sample(Path("1"), "b", weight=1.0)])
    assert given.dtype == torch.float32 and given.tolist() == pytest.approx([1.5, 0.5])
