"""Labels that are probably wrong, by confident learning (Northcutt et al., JAIR 2021; arXiv 1911.00068)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

FOLDS = 5
DIMENSIONS = 128  # of the features that are kept: enough to tell classes apart, few enough to fit in seconds
STRENGTH = 30.0  # inverse penalty: weak enough to tell classes apart, strong enough not to fit the wrong labels
LEAST = 10  # images of a class, below which its own predictions are no judge


@dataclass(frozen=True)
class Suspect:
    """One label that is probably wrong.

    Attributes:
        position: Which image.
        suggested: The class that was predicted.
        probability: The out-of-fold probability of that class, 0 to 1.
    """

    position: int
    suggested: str
    probability: float


@dataclass(frozen=True)
class LabelCheck:
    """What came of examining labels.

    Attributes:
        suspects: Labels that are probably wrong, the most contradicted first.
        examined: How many labels were examined.
        reason: Why others were not, or none was; empty when all were.
    """

    suspects: tuple[Suspect, ...] = ()
    examined: int = 0
    reason: str = ""

    def describe(self) -> str:
        """Say on one line how many labels were examined, and what came of it."""
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"{self.examined:,} examined, {len(self.suspects):,} doubtful{why}"
            if self.examined
            else f"none examined{why}"
        )


NOT_LOOKED_FOR = LabelCheck(reason="not looked for")


def check_labels(
    features: NDArray[np.float32], labels: Sequence[str], positions: Sequence[int], units: Sequence[int]
) -> LabelCheck:
    """Find labels that a model trained on the other images contradicts.

    It only warns, so nothing that the data holds makes it raise.

    Args:
        features: What a frozen network sees in each image, N x F.
        labels: Their labels.
        positions: Where each image is in the set, for the suspects.
        units: Images with one number belong together, and none of them judges another.

    Returns:
        The suspects. Classes with fewer than `LEAST` units are left out.
    """
    apart: dict[str, set[int]] = {}
    for label, unit in zip(labels, units, strict=True):
        apart.setdefault(label, set()).add(unit)
    small = [label for label in sorted(apart) if len(apart[label]) < LEAST]
    reason = f"fewer than {LEAST} images or groups of {_named(small)}" if small else ""
    judged = [place for place, label in enumerate(labels) if len(apart[label]) >= LEAST]
    if len(apart) - len(small) < 2:
        return LabelCheck(reason=reason or "one class alone has images that can be read")
    classes, targets = np.unique([labels[place] for place in judged], return_inverse=True)
    from cleanlab.filter import find_label_issues  # here, as it takes memory in commands that need none of it

    try:
        chances = _chances(features[judged], targets, [units[place] for place in judged])
        found = find_label_issues(
            targets,
            chances,
            return_indices_ranked_by="normalized_margin",
            filter_by="prune_by_noise_rate",
            n_jobs=1,
        )
    except Exception as error:  # odd data, of which scikit-learn and cleanlab raise many kinds
        return LabelCheck(reason=f"no model could be fitted: {' '.join(str(error).split())[:160]}")
    suspects = (
        Suspect(positions[judged[at]], str(classes[chances[at].argmax()]), float(chances[at].max())) for at in found
    )
    return LabelCheck(tuple(suspects), len(judged), reason)


def _chances(features: NDArray[np.float32], targets: NDArray[np.int64], units: Sequence[int]) -> NDArray[np.float64]:
    """Return the probability of each class (N x C) for every image, by a model that has not seen its unit.

    Raises:
        ValueError: A class lies in one fold alone.
    """
    cut = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(features, targets, units)
    folds = [(train, test) for train, test in cut if len(test)]
    if any(len(np.unique(targets[train])) <= targets.max() for train, _ in folds):
        raise ValueError("one group holds nearly all of a class")
    smallest = min(len(train) for train, _ in folds)
    model = make_pipeline(
        Normalizer(),
        PCA(min(DIMENSIONS, max(1, smallest // 2), features.shape[1]), random_state=0),
        LogisticRegression(C=STRENGTH, max_iter=500),
    )
    chances: NDArray[np.float64] = cross_val_predict(model, features, targets, cv=folds, method="predict_proba")
    return chances


def _named(labels: Sequence[str]) -> str:
    return ", ".join(labels[:3]) + (f" and {len(labels) - 3} more classes" if len(labels) > 3 else "")
