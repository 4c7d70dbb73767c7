"""Write what a finished run is judged by, its figures and its rows, and read the figures again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..atomic import make_folder, write_json
from ..metrics import compute, intervals, why_undefined
from .predictions import SPLITS, Predictions, write_predictions


def record(folder: Path, predictions: Predictions, positive: str | None, costs: Mapping[str, Any]) -> dict[str, Any]:
    """Write `predictions.csv` and `metrics.json` into `folder` and return the metrics.

    Args:
        folder: A run folder, or one evaluation in it.
        predictions: Rows of every split that was judged.
        positive: The class that counts as the defect, or None.
        costs: What else `metrics.json` holds: parameters, bytes, seconds.
    """
    make_folder(folder)
    metrics = {**measure(predictions, positive), **costs}
    write_predictions(folder / "predictions.csv", predictions)
    write_json(folder / "metrics.json", metrics)
    return metrics


def read_metrics(path: Path) -> dict[str, Any]:
    """Read a `metrics.json`.

    Raises:
        ValueError: The file is not a JSON object.
    """
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): run train or evaluate again") from error
    if not isinstance(metrics, dict):
        raise ValueError(f"{path} holds no JSON object: run train or evaluate again")
    return metrics


def measure(predictions: Predictions, positive: str | None) -> dict[str, Any]:
    """Return the figures of every split, as `metrics.json` holds them.

    Args:
        predictions: Rows of all splits.
        positive: The class that counts as the defect, or None for averages over classes.

    Returns:
        `{"val": figures, "test": figures, "intervals": {"val": intervals, "test": intervals}}`, one per split present;
        where a figure is None, also the reason in `{"undefined": {"test": {"auroc": reason}}}`.
    """
    parts = {split: predictions.of(split) for split in SPLITS if split in predictions.splits}
    figures: dict[str, Any] = {split: compute(part, positive) for split, part in parts.items()}
    undefined = {split: why_undefined(part, positive, figures[split]) for split, part in parts.items()}
    told = {"undefined": {split: reasons for split, reasons in undefined.items() if reasons}}
    figures["intervals"] = {split: intervals(part, positive) for split, part in parts.items()}
    return figures | (told if told["undefined"] else {})
