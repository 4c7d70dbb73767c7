"""What a finished training leaves in its run folder and in the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from ..atomic import write_text
from ..command import versions
from ..data import ImageData
from ..overrides import as_typed
from ..package import shell_line
from ..report import About, record, summary, tabulate, write_report
from ..tasks import Fitted, VisionTask, layers, metadata, note_data, predict_logits, used_data


@dataclass(frozen=True)
class Run:
    """One training and where it belongs.

    Attributes:
        folder: The run folder.
        config: All settings, with what was planned for these data.
        overrides: What the user asked for, as Hydra has it.
        data: The images.
        task: What is trained.
    """

    folder: Path
    config: DictConfig
    overrides: Sequence[str]
    data: ImageData
    task: VisionTask

    def write_settings(self) -> None:
        """Write what a training can be resumed by: `overrides.json`, `config.yaml` and `data.json`."""
        write_text(self.folder / "overrides.json", json.dumps(list(map(as_typed, self.overrides))))
        write_text(self.folder / "config.yaml", self._yaml())
        note_data(self.folder, self.data)

    def finish(self, fitted: Fitted) -> float:
        """Judge val and test, write the trained file, its metrics and the report, and return the score on val."""
        setting, model = self.task.setting, self.task.model
        logits = predict_logits(model, self.data, ("val", "test"), setting.image, setting.task)
        predictions = tabulate(logits, {split: self.data.samples(split) for split in logits}, setting.task)
        provenance = self._provenance()
        # The trained file first: evaluate can compute the metrics again from it.
        saved = setting.adaptation.save(self.folder, model, metadata(setting, provenance))
        costs = {**self.task.parameter_counts(), "adapter_bytes": saved.stat().st_size, **fitted.costs}
        metrics = record(self.folder, predictions, setting.task.positive, costs)
        about = self._about(provenance)
        write_report(self.folder, about, predictions, metrics, fitted.history)
        summary(Console(), self.folder, metrics, about, next_commands(self.folder, predictions.paths[-1]))
        score = metrics["val"][self.task.score]
        return float("nan") if score is None else float(score)

    def _settings(self) -> Any:
        return OmegaConf.to_container(self.config, resolve=True)

    def _yaml(self) -> str:
        return OmegaConf.to_yaml(OmegaConf.create(self._settings()))

    def _provenance(self) -> dict[str, Any]:
        return {
            "config": self._settings(),
            "data": used_data(self.data),
            "versions": versions(),
            "date": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
        }

    def _about(self, provenance: dict[str, Any]) -> About:
        """Say what was trained on what, for the report."""
        setting, data = self.task.setting, self.data
        return About(
            experiment=self.config.name,
            backbone=setting.backbone.name,
            weights=setting.backbone.origin,
            weights_licence=setting.backbone.known_licence,
            data=data.index.name,
            data_licence=data.index.licence,
            fingerprint=data.fingerprint,
            counts=data.counts,
            classes=data.classes,
            positive=data.positive,
            method=(*setting.adaptation.describe(self.task.model), *(self.config.get("recipe") or {}).values()),
            layers=layers(self.task.model),
            versions=provenance["versions"],
            date=provenance["date"],
            left_out=tuple(f"{path}: {reason}" for path, reason in data.left_out),
            command=command_line(self.overrides),
            bit_depth=setting.image.bit_depth,
            kind=setting.task.kind,
            views=setting.task.views,
            config=self._yaml(),
        )


def command_line(overrides: Sequence[str]) -> str:
    """Return the command line of a training, ready to paste."""
    return shell_line("train", *map(as_typed, overrides))


def next_commands(folder: Path, picture: str) -> list[str]:
    """Return the two commands that bring a run to the camera."""
    return [
        shell_line("export", f"adapter={folder}", "precision=fp32"),
        shell_line("predict", f"model={folder}", f"input={picture}"),
    ]
