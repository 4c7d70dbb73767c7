"""Test before training whether flips and turns keep the class, with a linear model on frozen features.

Augmentation by flips teaches that the upright side says nothing. Where it does say something (an arrow to the left or
to the right, a 6 or a 9) a model that learnt flipped pictures too, labelled as the upright ones, errs more often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

FOLDS = 5
LEAST = 20  # images or groups, below which no difference could be told from chance
LEAST_OF_CLASS = 8  # pictures, below which a class says nothing by itself
PENALTY = 300.0  # of the squared weights, for standardised features
# Smallest loss that counts, and its size in standard errors: over all, and for one class of many.
WHOLE, CLASS = (0.03, 3.0), (0.2, 3.0)

Array = NDArray[np.floating]
Cut = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True)
class Symmetry:
    """Which flips and turns keep the class.

    Attributes:
        name: One of `src.data.transforms.SYMMETRIES`.
        why: What was found, in a few words.
    """

    name: str
    why: str


def find_symmetry(
    upright: Array, moved: Mapping[str, Callable[[], Array]], targets: Array, units: Sequence[int]
) -> Symmetry:
    """Return the largest symmetry under which the pictures keep their class, or their labels or value.

    Args:
        upright: Features of the pictures as they are, N x F.
        moved: By view of `src.spec.VIEWS`, `horizontal` first: gives the features of the same pictures so flipped or
            turned, N x F. Together the views make up the symmetry `all`, and each is tried alone: of a mixture only a
            part may change the class, which is harder to see.
        targets: One column a class or label with 0 and 1, or one column with values, N x outputs.
        units: Images with one number belong together, and none of them judges another.
    """
    count = len(set(units))
    if count < LEAST:
        return Symmetry("all", f"{count} pictures or groups are too few to tell whether flips keep the class")
    classes = _classes(targets)
    cut = _cut(np.asarray(units))
    plain = _errors(upright, upright[:0], targets, cut)
    said = []
    for view, features in moved.items():
        lost, matters = _lost(_errors(upright, features(), targets, cut) - plain, classes)
        said.append(f"{view} {100 * lost:+.1f}")
        if matters:
            name = "none" if view == "horizontal" else "horizontal"
            return Symmetry(name, f"the upright side matters: points of error with flipped pictures {', '.join(said)}")
    return Symmetry("all", f"{len(upright)} pictures keep what they are: points of error {', '.join(said)}")


def _classes(targets: Array) -> list[NDArray[np.int64]]:
    """Return the pictures of each class (N_c): errors are averaged within classes first. Values are of one class."""
    rows = targets.argmax(1) if targets.shape[1] > 1 and (targets.sum(1) == 1).all() else np.zeros(len(targets))
    return [np.flatnonzero(rows == each) for each in np.unique(rows)]


def _cut(units: NDArray[np.int64]) -> Cut:
    """Cut the pictures into folds that share no unit: rows to learn from and rows to judge."""
    names, place = np.unique(units, return_inverse=True)
    fold = (np.random.default_rng(0).permutation(len(names)) % FOLDS)[place]
    return [(np.flatnonzero(fold != each), np.flatnonzero(fold == each)) for each in range(FOLDS)]


def _errors(upright: Array, moved: Array, targets: Array, cut: Cut) -> Array:
    """Return the out-of-fold error of each upright picture (N, 0 to 1), learnt from the others and the moved others."""
    errors = np.zeros(len(upright))
    for learnt, judged in cut:
        rows = [upright[learnt], moved[learnt]] if len(moved) else [upright[learnt]]
        known, repeated = np.concatenate(rows), np.concatenate([targets[learnt]] * len(rows))
        mean, spread = known.mean(0), known.std(0) + 1e-6
        model = Ridge(PENALTY * len(rows)).fit((known - mean) / spread, repeated)
        guess = model.predict((upright[judged] - mean) / spread).reshape(len(judged), -1)
        errors[judged] = _error(guess, targets[judged], targets)
    return errors


def _error(guess: Array, truth: Array, targets: Array) -> Array:
    if targets.shape[1] == 1:  # values: the squared error as a part of the variance
        squared: Array = ((guess - truth) ** 2 / targets.var()).mean(1).clip(0, 1)
        return squared
    if (targets.sum(1) == 1).all():
        wrong: Array = (guess.argmax(1) != truth.argmax(1)).astype(float)
        return wrong
    shares = targets.mean(0).clip(1e-6, 1 - 1e-6)  # a rare label counts as much as a frequent one
    each = np.where(truth == 1, 0.5 / shares, 0.5 / (1 - shares)) * ((guess > 0.5) != (truth == 1))
    missed: Array = each.mean(1)
    return missed


def _lost(more: Array, classes: Sequence[NDArray[np.int64]]) -> tuple[float, bool]:
    """Return how much the error grew, the mean over the classes, and whether that is more than chance."""
    means = np.array([more[rows].mean() for rows in classes])
    # One picture more or less is chance: of a class of two or three, all may change by it.
    spreads = np.array([max(more[rows].std() / np.sqrt(len(rows)), 1 / len(rows)) for rows in classes])
    lost, error = means.mean(), np.sqrt((spreads**2).sum()) / len(classes)
    whole = lost > WHOLE[0] and lost > WHOLE[1] * error
    many = np.array([len(rows) >= LEAST_OF_CLASS for rows in classes])
    return float(lost), bool(whole or (many & (means > CLASS[0]) & (means > CLASS[1] * spreads)).any())
