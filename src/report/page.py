"""The run's HTML page: one file without network, scripts or anything beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..atomic import write_text
from ..metrics import LABELS, Intervals, compute, intervals, outcomes, why_undefined
from . import units
from .about import About
from .curves import precision_recall, roc
from .environment import environment
from .figures import FEW, confusion_matrix, learning_curves
from .history import read_history
from .mistakes import worst_mistakes
from .predictions import SPLITS, Predictions, read_predictions
from .record import read_metrics
from .scatter import errors, scatter

NAME = "report.html"
TEMPLATE = "page.html.j2"
MEASURED = ("val", "test")
LEARNT = {
    "classification": "{} classes",
    "ordinal": "{} grades",
    "multilabel": "{} labels, any number an image",
    "regression": "a number",
}


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


def write_report(run: Path, about: About) -> Path:
    """Write `report.html` into a run folder, whole or not at all.

    It reads `metrics.json` and `predictions.csv`, and `history.csv` and `config.yaml` where they exist. The headline
    figures are those of the test split, or of the validation split when there is no other.

    Args:
        run: The run folder.
        about: What was trained on what.

    Returns:
        Path of the page.

    Raises:
        ValueError: A file of the run is not what train writes, or holds neither val nor test images.
    """
    page = environment().get_template(TEMPLATE).render(_context(run, about))
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


def _context(run: Path, about: About) -> dict[str, Any]:
    predictions = read_predictions(run / "predictions.csv", about.kind)
    measured = [split for split in MEASURED if split in predictions.splits]
    if not measured:
        raise ValueError(
            f"{run / 'predictions.csv'} holds no val or test images to report: run train or evaluate again"
        )
    metrics = read_metrics(run / "metrics.json")
    parts = {split: predictions.of(split) for split in measured}
    headline = parts[measured[-1]]
    return {
        "about": about,
        "metrics": metrics,
        "split": {"val": "validation", "test": "test"},
        "headline": measured[-1],
        "images": len(headline),
        "cards": _cards(headline, about.positive),
        "outcomes": outcomes(headline, about.positive) if about.positive else None,
        "figures": _figures(run, headline, about.positive, metrics),
        "learnt": LEARNT[about.kind].format(len(about.classes)),
        "mistakes": worst_mistakes(headline, bit_depth=about.bit_depth),
        "wrong": sum(target != decided for target, decided in zip(headline.targets, headline.predicted, strict=True)),
        "kind": about.kind,
        "splits": [split for split in SPLITS if split in about.counts],
        "measured": measured,
        "classes": _class_table(about, parts),
        "few": FEW,
        "config": _text(run / "config.yaml"),
    }


def _class_table(about: About, parts: Mapping[str, Predictions]) -> list[tuple[str, tuple[ClassRow, ...]]]:
    """Return every class with its row in each measured split; ranges of values have a count alone."""
    if about.kind == "regression":
        return [(name, ()) for name in next(iter(about.counts.values()))]
    return list(zip(about.classes, zip(*map(class_rows, parts.values()), strict=True), strict=True))


def _cards(predictions: Predictions, positive: str | None) -> list[Card]:
    figures, ends = compute(predictions, positive), intervals(predictions, positive)
    why = why_undefined(predictions, positive, figures)
    return [_card(name, label, figures[name], ends, why) for name, label in LABELS.items() if name in figures]


def _card(name: str, label: str, value: float | None, ends: Intervals, why: dict[str, str]) -> Card:
    if value is None:
        return Card(label, units.MISSING, why[name])
    return Card(label, units.figure(name, value), units.interval(name, ends.get(name)))


def _figures(run: Path, predictions: Predictions, positive: str | None, metrics: dict[str, Any]) -> dict[str, Markup]:
    """Draw the figures by name; those without data are left out. Their text is escaped where it is drawn."""
    drawn: dict[str, str] = {}
    if predictions.kind == "regression":
        drawn |= {"scatter": scatter(predictions), "errors": errors(predictions)}
    elif predictions.kind != "multilabel":
        drawn["confusion"] = confusion_matrix(predictions)
    if (run / "history.csv").exists():
        drawn["curves"] = learning_curves(read_history(run / "history.csv"), metrics.get("best_epoch"))
    if compute(predictions, positive).get("auroc") is not None:
        drawn |= {"roc": roc(predictions, positive), "precision": precision_recall(predictions, positive)}
    return {name: Markup(text) for name, text in drawn.items() if text}


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
