"""The start of a training: frozen features that are computed once, and the metrics of the head fitted on them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data import ImageData
from ..kinds import find_kind
from ..metrics import Figures
from ..spec import ImageSpec, TaskSpec
from .build import network_input
from .head import features
from .score import figures, standard_error

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeadStart:
    """Metrics of the fitted head on val, before the first epoch.

    Attributes:
        figures: Of the head on val.
        error: Standard error of the score that steers.
    """

    figures: Figures
    error: float


class FrozenFeatures:
    """Input of the head of an untrained network, computed once for the label check and the fit of the head.

    The fit needs exactly these rows: features from the cache may stem from another device or batch size, and the bits
    of a training must not depend on what is in the cache.

    Attributes:
        seconds: Time that the features of train and val took, which a training cannot do without.
    """

    def __init__(self, model: nn.Module, head: nn.Linear, image: ImageSpec, data: ImageData) -> None:
        """Bind what the features are of; nothing is computed.

        Args:
            model: The adapted network, where it will be trained.
            head: Its classifier.
            image: How pixels become the network's input.
            data: The images, after `setup`.
        """
        self._model, self._head, self._image, self._data = model, head, image, data
        self._splits: dict[str, tuple[Tensor, Tensor]] = {}
        self.seconds = 0.0

    def split(self, name: str) -> tuple[Tensor, Tensor]:
        """Return the features (N x F) and targets of train or val, in the order of the samples."""
        if name not in self._splits:
            start = time.perf_counter()
            batches = ((pixels, targets) for pixels, targets, *_ in self._data.loader(name))
            self._splits[name] = self._compute(batches)
            self.seconds += time.perf_counter() - start
        return self._splits[name]

    def at(self, positions: Sequence[int]) -> NDArray[np.float32]:
        """Return the features of images in use by their positions (N x F), with those of train and val from `split`."""
        log.info("looking at %d images with the frozen backbone", len(positions))
        # All of train and val, even where few are asked for: the head needs them in any case.
        rows: dict[int, Tensor] = {}
        for name in ("train", "val"):
            rows |= zip(self._data.positions(name), self.split(name)[0], strict=True)
        if rest := [position for position in positions if position not in rows]:
            batches = ((pixels, torch.zeros(len(pixels))) for pixels in self._data.pixels(rest))
            rows |= zip(rest, self._compute(batches)[0], strict=True)
        return torch.stack([rows[position] for position in positions]).flatten(1).numpy()

    def _compute(self, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        return features(self._model, self._head, self._images(batches))

    def _images(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        device = self._head.weight.device
        for pixels, targets in batches:
            yield network_input(self._model, pixels.to(device), self._image), targets


@torch.no_grad()
def score_head(head: nn.Linear, val: tuple[Tensor, Tensor], task: TaskSpec) -> HeadStart:
    """Score a head on features and targets of val, as an epoch is scored."""
    logits = head(val[0].to(head.weight.device)).cpu()
    return HeadStart(figures(logits, val[1], task), standard_error(logits, val[1], task, find_kind(task.kind).score))
