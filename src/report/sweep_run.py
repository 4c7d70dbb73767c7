"""What the run folders of a multirun say, the failed ones included."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from ..metrics import headline
from .results import read_metrics

UNFINISHED = "did not finish: the run left neither metrics.json nor error.txt"


@dataclass(frozen=True)
class SweepRun:
    """One run of a multirun.

    Attributes:
        name: Name of its folder.
        overrides: What was asked for by key, as in `lora.rank` and `8`.
        metrics: Content of its `metrics.json`; empty when it failed.
        error: Why it failed, on one line; empty when it did not.
        folds: In how many folds its data are cut; None without folds, or when it failed.
    """

    name: str
    overrides: dict[str, str]
    metrics: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    folds: int | None = None

    def figure(self, split: str, name: str) -> float | None:
        """Return one figure of one split, None when the run does not have it."""
        value = self.metrics.get(split, {}).get(name)
        return None if value is None else float(value)


def read_runs(folder: Path) -> list[SweepRun]:
    """Read the numbered run folders of a sweep: best on validation first, then those without a figure, failed last.

    Every run folder holds `overrides.json`, a list such as `["lora.rank=8"]`, and `metrics.json` or, when the run
    failed, `error.txt` with the reason.
    """
    numbered = sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    return sorted(map(_read_run, numbered), key=_rank)


def _read_run(path: Path) -> SweepRun:
    try:
        overrides = _overrides(path / "overrides.json")
        if (path / "error.txt").exists():
            reason = " ".join((path / "error.txt").read_text(encoding="utf-8", errors="replace").split())
            return SweepRun(path.name, overrides, error=reason or "failed without a reason")
        if not (path / "metrics.json").exists():
            return SweepRun(path.name, overrides, error=UNFINISHED)
        return SweepRun(path.name, overrides, read_metrics(path / "metrics.json"), folds=_folds(path / "config.yaml"))
    except (ValueError, YAMLError) as error:  # one broken folder must not cost the table of the others
        return SweepRun(path.name, {}, error=str(error))


def _overrides(path: Path) -> dict[str, str]:
    texts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f'{path} must be a list of overrides, such as ["lora.rank=8"]')
    pairs = (text.partition("=") for text in texts)
    return {key.lstrip("+~"): value for key, _, value in pairs}


def _folds(path: Path) -> int | None:
    found = OmegaConf.select(OmegaConf.load(path), "data.folds") if path.exists() else None
    return None if found is None else int(found)


def _rank(run: SweepRun) -> tuple[bool, bool, float]:
    score = run.figure("val", headline(run.metrics.get("val", {}))[0])
    return bool(run.error), score is None, -(score or 0.0)
