"""The run's HTML page: one file without network, scripts or anything beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..atomic import write_text
from ..kinds import find_kind
from ..metrics import LABELS, outcomes
from . import formats
from .about import About
from .curves import precision_recall, roc
from .environment import environment
from .history import columns
from .pictures import worst_mistakes
from .plots import FEW, confusion_matrix, learning_curves
from .predictions import SPLITS, Predictions
from .scatter import errors, scatter

NAME = "report.html"
TEMPLATE = "page.html.j2"
MEASURED = ("val", "test")
DRAWINGS = {"confusion": confusion_matrix, "scatter": scatter, "errors": errors}  # see `Kind.figures`


@dataclass(frozen=True)
class Card:
    """One headline figure.

    Attributes:
        label: What it is called.
        value: The figure as people read it.
        interval: Its 95 % interval in words, or nothing.
    """

    label: str
    value: str
    interval: str


@dataclass(frozen=True)
class ClassRow:
    """One class in one split: how many images, and how well they were told apart; None where undefined."""

    support: int
    precision: float | None
    recall: float | None
    f1: float | None


def write_report(
    run: Path,
    about: About,
    predictions: Predictions,
    metrics: Mapping[str, Any],
    history: Sequence[Mapping[str, float]] = (),
) -> Path:
    """Write `report.html` into a run folder, whole or not at all.

    The headline metrics are those of the test split, or of the validation split when there is no other.

    Args:
        run: The run folder.
        about: What was trained on what.
        predictions: Rows of every split that was judged.
        metrics: What `record` returned for them: metrics and intervals by split, and costs.
        history: What each epoch brought, by the column names of `history.csv`.

    Returns:
        Path of the page.

    Raises:
        ValueError: There are neither val nor test images.
    """
    page = environment().get_template(TEMPLATE).render(_context(about, predictions, metrics, history))
    write_text(run / NAME, page, errors="replace")
    return run / NAME


def class_rows(predictions: Predictions) -> list[ClassRow]:
    """Return support, precision, recall and F1 of every class, in the order of the classes."""
    is_target, is_decided = predictions.target_matrix, predictions.predicted_matrix
    sums = [matrix.sum(axis=0).tolist() for matrix in (is_target, is_decided, is_target & is_decided)]
    return [
        ClassRow(support, _share(hits, called), _share(hits, support), _share(2 * hits, support + called))
        for support, called, hits in zip(*sums, strict=True)
    ]


def _context(
    about: About, predictions: Predictions, metrics: Mapping[str, Any], history: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    measured = [split for split in MEASURED if split in predictions.splits]
    if not measured:
        raise ValueError("there are no val or test images to report: run train or evaluate again")
    parts = {split: predictions.of(split) for split in measured}
    split, kind = measured[-1], find_kind(about.kind)
    headline = parts[split]
    return {
        "about": about,
        "metrics": metrics,
        "split": {"val": "validation", "test": "test"},
        "headline": split,
        "images": len(headline),
        "cards": _cards(metrics, split),
        "interval_unit": formats.interval_unit(metrics.get("interval_units", {}).get(split, {})),
        "outcomes": outcomes(headline, about.positive) if about.positive else None,
        "plots": _plots(headline, about.positive, metrics, history),
        "learnt": kind.describe(about.classes),
        "mistakes": worst_mistakes(headline, bit_depth=about.bit_depth),
        "wrong": sum(target != decided for target, decided in zip(headline.targets, headline.predicted, strict=True)),
        "kind": kind,
        "splits": [split for split in SPLITS if split in about.counts],
        "measured": measured,
        "classes": _class_table(about, parts),
        "few": FEW,
        "config": about.config,
    }


def _class_table(about: About, parts: Mapping[str, Predictions]) -> list[tuple[str, tuple[ClassRow, ...]]]:
    """Return every class with its row in each measured split; ranges of values have a count alone."""
    if not find_kind(about.kind).has_classes:
        return [(name, ()) for name in next(iter(about.counts.values()))]
    return list(zip(about.classes, zip(*map(class_rows, parts.values()), strict=True), strict=True))


def _cards(metrics: Mapping[str, Any], split: str) -> list[Card]:
    """Return a card for each metric of a split, in the order of `LABELS`."""
    values, ends = metrics[split], metrics["intervals"][split]
    why = metrics.get("undefined", {}).get(split, {})
    return [_card(name, values[name], ends.get(name), why.get(name, "")) for name in LABELS if name in values]


def _card(name: str, value: float | None, ends: tuple[float, float] | None, why: str) -> Card:
    remark = why if value is None else formats.interval(name, ends)
    return Card(LABELS[name], formats.metric(name, value), remark)


def _plots(
    predictions: Predictions,
    positive: str | None,
    metrics: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
) -> dict[str, Markup]:
    """Draw the figures by name; those without data are left out. Their text is escaped where it is drawn."""
    drawn = {name: DRAWINGS[name](predictions) for name in find_kind(predictions.kind).figures}
    if history:
        drawn["curves"] = learning_curves(columns(history), metrics.get("best_epoch"))
    if metrics[predictions.splits[0]].get("auroc") is not None:
        drawn |= {"roc": roc(predictions, positive), "precision": precision_recall(predictions, positive)}
    return {name: Markup(text) for name, text in drawn.items() if text}


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
