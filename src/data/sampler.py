"""The random order of training, a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Sampler


class Draw(NamedTuple):
    """What the sampler asks the dataset for; the epoch travels with it into worker processes."""

    epoch: int
    item: int


class EpochSampler(Sampler[Draw]):
    """Shuffle anew in each epoch, so that a resumed training sees what an unbroken one would.

    Lightning calls `set_epoch` before every epoch, also after a resume and under its distributed wrapper
    (`lightning.fabric.utilities.data._set_sampler_epoch`); a loop of your own has to.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed, self.epoch = size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Draw]:
        generator = torch.Generator().manual_seed(mix(self.seed, self.epoch))
        for item in torch.randperm(self.size, generator=generator).tolist():
            yield Draw(self.epoch, item)


def mix(*numbers: int) -> int:
    """Turn numbers of 0 or more into one seed of 64 bits, so that near numbers give unrelated seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
