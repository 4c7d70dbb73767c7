"""What training aims at, from what the samples say."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from src.data.dataset import Target
from src.data.listing import Sample


def class_indices(samples: Sequence[Sample], classes: Sequence[str]) -> list[int]:
    """Return the class index of every sample."""
    return [classes.index(sample.label) for sample in samples]


def soft_targets(samples: Sequence[Sample], classes: Sequence[str]) -> Sequence[Target]:
    """Return the class indices, or the probability of every class (float32) where some sample says it."""
    targets = class_indices(samples, classes)
    if all(sample.soft is None for sample in samples):
        return targets
    certain = torch.eye(len(classes))
    return [
        certain[target] if sample.soft is None else torch.tensor(sample.soft)
        for target, sample in zip(targets, samples, strict=True)
    ]


def weights(samples: Sequence[Sample]) -> Tensor | None:
    """Return how much each sample counts (float32, mean 1), or None where all count the same."""
    given = torch.tensor([sample.weight for sample in samples], dtype=torch.float64)
    return None if bool((given == given[:1]).all()) else (given / given.mean()).float()
