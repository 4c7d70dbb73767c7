"""Labels that are probably wrong, by confident learning (Northcutt et al., JAIR 2021; arXiv 1911.00068)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cleanlab.filter import find_label_issues
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


def suspects(
    features: NDArray[np.float32], labels: Sequence[str], positions: Sequence[int], units: Sequence[int]
) -> list[Suspect]:
    """Find labels that a model trained on the other images contradicts.

    Args:
        features: What a frozen network sees in each image, N x F.
        labels: The class of each.
        positions: The position of each, returned with it.
        units: A number for each image; those with one number never judge one another (a group, copies).

    Returns:
        The suspects, the most contradicted first. Classes with fewer than `LEAST` units are left out.
    """
    apart: dict[str, set[int]] = {}
    for label, unit in zip(labels, units, strict=True):
        apart.setdefault(label, set()).add(unit)
    judged = [place for place, label in enumerate(labels) if len(apart[label]) >= LEAST]
    if len({labels[place] for place in judged}) < 2:
        return []
    features = features[judged]
    classes, targets = np.unique([labels[place] for place in judged], return_inverse=True)
    model = make_pipeline(
        Normalizer(),
        PCA(min(DIMENSIONS, len(features) // 2, features.shape[1]), random_state=0),
        LogisticRegression(C=STRENGTH, max_iter=500),
    )
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings(action="ignore"):  # of scikit-learn on classes that a fold lacks: seen below
        chances = cross_val_predict(
            model, features, targets, groups=[units[place] for place in judged], cv=folds, method="predict_proba"
        )
    if chances.shape[1] != len(classes):
        return []
    found = find_label_issues(
        targets, chances, return_indices_ranked_by="normalized_margin", filter_by="prune_by_noise_rate", n_jobs=1
    )
    return [
        Suspect(positions[judged[at]], str(classes[chances[at].argmax()]), float(chances[at].max())) for at in found
    ]
