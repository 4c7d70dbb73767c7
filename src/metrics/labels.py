"""Figures of any number of labels a picture."""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics.functional.classification import binary_auroc, binary_average_precision, binary_f1_score

from .rows import Rows
from .weighted import SMALLEST, Array, Figures, average, mean, ranked, ratio, total


def point(predictions: Rows, positive: str | None) -> Figures:
    """Return accuracy, exact match, F1, AUROC, average precision and loss of one split.

    Accuracy is over all decisions, exact match the part of the images of which every label was decided right. The rest
    is the mean over the labels: F1 over those that occur or were decided, AUROC and average precision over those that
    some images have and others have not. Loss is the binary cross-entropy in nats.
    """
    targets = torch.from_numpy(predictions.target_matrix).int()
    decided = torch.from_numpy(predictions.predicted_matrix).int()
    scores = torch.from_numpy(predictions.probabilities)
    count = targets.sum(0)
    both = [index for index in range(len(count)) if 0 < count[index] < len(targets)]
    used = [index for index in range(len(count)) if count[index] or decided[:, index].any()]
    right = decided == targets
    return {
        "accuracy": float(right.double().mean()),
        "exact_match": float(right.all(1).double().mean()),
        "f1": average([binary_f1_score(decided[:, index], targets[:, index]) for index in used]),
        "auroc": average([binary_auroc(scores[:, index], targets[:, index]) for index in both]),
        "average_precision": average([binary_average_precision(scores[:, index], targets[:, index]) for index in both]),
        "loss": float(_surprise(predictions).mean()),
    }


def resampled(predictions: Rows, positive: str | None, weights: Array) -> dict[str, Array]:
    """Compute what `point` does for every row of `weights` (S x N), S values each, NaN where undefined."""
    is_target, is_decided = predictions.target_matrix, predictions.predicted_matrix
    support, decided, hits = weights @ is_target, weights @ is_decided, weights @ (is_target & is_decided)
    right = is_target == is_decided
    areas = [
        ranked(predictions.probabilities[:, index], is_target[:, index], weights)
        for index in range(len(predictions.classes))
    ]
    images = weights.sum(axis=1)
    return {
        "accuracy": total(weights, right.mean(axis=1)) / images,
        "exact_match": total(weights, right.all(axis=1).astype(np.float64)) / images,
        "f1": mean(ratio(2 * hits, support + decided)),
        "auroc": mean(np.stack([auroc for auroc, _ in areas], axis=1)),
        "average_precision": mean(np.stack([precision for _, precision in areas], axis=1)),
        "loss": total(weights, _surprise(predictions)) / images,
    }


def _surprise(predictions: Rows) -> Array:
    of_truth = np.where(predictions.target_matrix, predictions.probabilities, 1 - predictions.probabilities)
    surprise: Array = -np.log(np.maximum(of_truth, SMALLEST)).mean(axis=1)
    return surprise
