"""Targets and weights of samples: for the loss in training, and for the metrics."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .dataset import Target
from .dataset_index import Sample


def targets(samples: Sequence[Sample], classes: Sequence[str]) -> Sequence[Target]:
    """Return each sample's class index, or its labels (classes, 0 or 1) or its value (1), both float32."""
    place = {name: index for index, name in enumerate(classes)}
    return [_target(sample, place) for sample in samples]


def soft_targets(samples: Sequence[Sample], classes: Sequence[str]) -> Sequence[Target]:
    """Return the `targets`, or the probability of every class (float32) where some sample says it."""
    certain = targets(samples, classes)
    if all(sample.soft is None for sample in samples):
        return certain
    whole = torch.eye(len(classes))
    return [
        whole[target] if sample.soft is None else torch.tensor(sample.soft)
        for target, sample in zip(certain, samples, strict=True)
    ]


def weights(samples: Sequence[Sample]) -> Tensor | None:
    """Return how much each sample counts (float32, mean 1), or None where all count the same."""
    # In float64: the mean of many float32 weights is not exact enough to divide by.
    given = torch.tensor([sample.weight for sample in samples], dtype=torch.float64)
    return None if bool((given == given[:1]).all()) else (given / given.mean()).float()


def _target(sample: Sample, place: dict[str, int]) -> Target:
    if sample.value is not None:
        return torch.tensor([sample.value], dtype=torch.float32)
    if sample.labels is None:
        return place[sample.label]
    present = torch.zeros(len(place))
    present[[place[name] for name in sample.labels]] = 1.0
    return present
