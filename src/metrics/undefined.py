"""Why some figures of some images do not exist."""

from __future__ import annotations

from .rows import Rows
from .weighted import Figures

_RANKED = ("auroc", "average_precision")


def why_undefined(predictions: Rows, positive: str | None, figures: Figures) -> dict[str, str]:
    """Return the reason for every figure that is None.

    Args:
        predictions: Rows of one split.
        positive: The class that counts as the defect, or None.
        figures: What `compute` gives of them.
    """
    reasons = {
        "classification": _of_classes,
        "ordinal": _of_classes,
        "multilabel": _of_labels,
        "regression": _of_values,
    }[predictions.kind](predictions, positive)
    return {name: reasons[name] for name, value in figures.items() if value is None}


def _of_classes(predictions: Rows, positive: str | None) -> dict[str, str]:
    present = [predictions.classes[index] for index in sorted(set(predictions.target_indices.tolist()))]
    alone = f"every image is {present[0]}"
    ranked = alone if len(present) == 1 else f"no image is {positive}"
    return {
        **dict.fromkeys(_RANKED, ranked),
        "f1": f"no image is {positive}, and none was taken for it",
        "quadratic_kappa": f"{alone}, and was taken for it",
    }


def _of_labels(predictions: Rows, positive: str | None) -> dict[str, str]:
    some = bool(predictions.target_matrix.any())
    ranked = "no label is on some images and not on others" if some else "no image has a label"
    return {**dict.fromkeys(_RANKED, ranked), "f1": "no image has a label, and none was given one"}


def _of_values(predictions: Rows, positive: str | None) -> dict[str, str]:
    values = set(predictions.target_values.tolist())
    equal = f"every value is {min(values):g}"
    return {"r2": equal, "pearson": equal if len(values) == 1 else "every image was given the same value"}
