"""The random order of training, a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Sampler


class Draw(NamedTuple):
    """What the sampler asks the dataset for; the epoch travels with it into worker processes."""

    epoch: int
    item: int
    again: int = 0


class EpochSampler(Sampler[Draw]):
    """Shuffle anew in each epoch, so that a resumed training sees what an unbroken one would.

    Lightning calls `set_epoch` before every epoch, also after a resume and under its distributed wrapper
    (`lightning.fabric.utilities.data._set_sampler_epoch`); a custom loop must call it too.
    """

    def __init__(self, size: int, seed: int, labels: Sequence[str] | None = None) -> None:
        """Bind the items.

        Args:
            size: How many items there are, and how many an epoch draws.
            seed: Decides, with the epoch, the order.
            labels: The class of each item, where every class is to be drawn equally often: items of a rare one come
                several times an epoch, some of a frequent one not at all. None draws every item once.
        """
        self.size, self.seed, self.epoch = size, seed, 0
        members: dict[str, list[int]] = {}
        for item, label in enumerate(labels or ()):
            members.setdefault(label, []).append(item)
        self._members = [members[label] for label in sorted(members)]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Draw]:
        # A generator of its own: the order must not depend on what the model draws.
        generator = torch.Generator().manual_seed(mix(self.seed, self.epoch))
        draws = self._draw_balanced(generator) if self._members else [(item, 0) for item in range(self.size)]
        for place in torch.randperm(self.size, generator=generator).tolist():
            item, again = draws[place]
            yield Draw(self.epoch, item, again)

    def _draw_balanced(self, generator: torch.Generator) -> list[tuple[int, int]]:
        """Return items round-robin over the classes, each with the number of times that it was drawn before."""
        orders = [[own[place] for place in torch.randperm(len(own), generator=generator)] for own in self._members]
        turns = [divmod(number, len(orders)) for number in range(self.size)]
        return [(orders[which][turn % len(orders[which])], turn // len(orders[which])) for turn, which in turns]


def mix(*numbers: int) -> int:
    """Hash non-negative numbers into one 64-bit seed, so that consecutive numbers give independent seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
