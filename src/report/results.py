"""The results of a run: rows from logits, their metrics, and the files of both."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic import make_folder, write_json
from ..data import Sample
from ..kinds import find_kind
from ..metrics import compute, intervals, units, why_undefined
from ..spec import JOINT, TaskSpec
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
    write_json(folder / "metrics.json", metrics)  # last: a run with metrics has its rows
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
        where a figure is None, also the reason in `{"undefined": {"test": {"auroc": reason}}}`. `interval_units` says
        how many images or groups of each split the intervals are resampled over.
    """
    parts = {split: predictions.of(split) for split in SPLITS if split in predictions.splits}
    figures: dict[str, Any] = {split: compute(part, positive) for split, part in parts.items()}
    undefined = {split: why_undefined(part, positive, figures[split]) for split, part in parts.items()}
    told = {"undefined": {split: reasons for split, reasons in undefined.items() if reasons}}
    figures["intervals"] = {split: intervals(part, positive, groups=part.groups) for split, part in parts.items()}
    figures["interval_units"] = {split: _unit(part) for split, part in parts.items()}
    return figures | (told if told["undefined"] else {})


def tabulate(logits: Mapping[str, Tensor], samples: Mapping[str, list[Sample]], task: TaskSpec) -> Predictions:
    """Return one row per image for the logits (N x classes) and the images of every split.

    Paths are relative to the working folder where the image lies in it, else absolute.
    """
    rows = [(split, sample) for split in logits for sample in samples[split]]
    kind = find_kind(task.kind)
    probabilities, decided = kind.interpret(torch.cat([logits[split].double() for split in logits]), task)
    return Predictions(
        paths=tuple(_shown(sample.path) for _, sample in rows),
        splits=tuple(split for split, _ in rows),
        targets=tuple(_truth(sample, task) for _, sample in rows),
        predicted=tuple(str(kind.decode(decision, task.classes)) for decision in decided),
        probabilities=probabilities.numpy(),
        classes=task.classes,
        kind=task.kind,
        groups=tuple(sample.group for _, sample in rows),
    )


def _unit(part: Predictions) -> dict[str, int]:
    """Return what the intervals of a split are resampled over: `groups` or `images`, and how many there are."""
    if not any(group is not None for group in part.groups):
        return {"images": len(part)}
    return {"groups": int(units(part.groups).max()) + 1}


def _truth(sample: Sample, task: TaskSpec) -> str:
    if sample.labels is None:
        return sample.truth
    return JOINT.join(name for name in task.classes if name in sample.labels)


def _shown(path: Path) -> str:
    absolute = Path(os.path.abspath(path))
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)
