"""Class imbalance: class weights, logit adjustment, focal loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NEAREST = 1e-6
LEAST = 1e-4  # of the images: no class counts as rarer, so that one picture never outweighs the rest
STEEPEST = 9  # of the powers, with which the weight of such a class is still a float32


@dataclass(frozen=True)
class Imbalance:
    """How much a rare class is raised; zeros leave the loss as it is.

    Attributes:
        class_weights: A class with the part f of the images counts with f**-class_weights; 1 makes all classes equal,
            0.5 goes half of the way.
        logit_adjustment: What is added to the logits in the loss alone, in units of log f (tau of Menon et al., arXiv
            2007.07314); 1 aims at balanced accuracy.
        focal: Power of the distance from the truth, 1 - p where that is certain, by which images that are told well
            count less (gamma of Lin et al., arXiv 1708.02002; with soft truths as in arXiv 2006.04388).
    """

    class_weights: float = 0.0
    logit_adjustment: float = 0.0
    focal: float = 0.0

    def __post_init__(self) -> None:
        """Refuse powers below 0, which would make rare classes count less, and weights beyond float32."""
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"task.imbalance.{name}={value} must be 0 or more")
        if self.class_weights > STEEPEST:
            raise ValueError(f"task.imbalance.class_weights={self.class_weights} must be {STEEPEST} or less")

    def weights(self, frequencies: Sequence[float]) -> Tensor:
        """Return the weight of every class (K), with mean 1 over the images."""
        part = _bound(frequencies)
        raised = part**-self.class_weights
        return raised / ((part * raised).sum() / part.sum())

    def shift(self, frequencies: Sequence[float]) -> Tensor:
        """Return what is added to the logits of one class a picture (K)."""
        return self.logit_adjustment * _bound(frequencies).log()

    def odds_weights(self, frequencies: Sequence[float]) -> Tensor:
        """Return the weight of the presence of every label (K); its absence counts 1."""
        part = _bound(frequencies)
        return ((1 - part) / part) ** self.class_weights

    def odds_shift(self, frequencies: Sequence[float]) -> Tensor:
        """Return what is added to the logits of several labels (K)."""
        return self.logit_adjustment * torch.logit(_bound(frequencies))

    def focus(self, distance: Tensor) -> Tensor:
        """Return by how much images count that are so far from their truth, 0 to 1."""
        return distance.clamp_min(NEAREST) ** self.focal  # at 0 a power below 1 has no gradient


def _bound(frequencies: Sequence[float]) -> Tensor:
    return torch.tensor(frequencies, dtype=torch.float32).clamp(LEAST, 1 - LEAST)
