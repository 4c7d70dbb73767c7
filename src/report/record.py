"""Write what a finished run is judged by: its figures, its rows and its page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.data.files import write_text
from src.report.metrics import measure
from src.report.predictions import Predictions, write_predictions


def record(folder: Path, predictions: Predictions, positive: str | None, costs: Mapping[str, Any]) -> dict[str, Any]:
    """Write `predictions.csv` and `metrics.json` into `folder` and return the metrics.

    Args:
        folder: A run folder, or one evaluation in it.
        predictions: Rows of every split that was judged.
        positive: The class that counts as the defect, or None.
        costs: What else `metrics.json` holds: parameters, bytes, seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics = {**measure(predictions, positive), **costs}
    write_predictions(folder / "predictions.csv", predictions)
    write_text(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics
