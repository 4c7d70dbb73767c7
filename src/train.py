"""Train: `python -m src.train +experiment=defects` leaves a run folder with adapter, figures and report."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from src.atomic import write_text
from src.command import (
    DONE,
    PROMISE_FAILED,
    PromiseError,
    one_line,
    requires,
    run,
    versions,
)
from src.overrides import as_typed, command_line

with requires("train"):
    from hydra.utils import instantiate
    from lightning.pytorch import seed_everything
    from rich.console import Console

    from src.backbones import Backbone
    from src.data import ImageData
    from src.data.quality import check
    from src.report import About, record, summary, tabulate, write_report
    from src.spec import SCORES
    from src.tasks import (
        Fitted,
        Setting,
        TrainerOptions,
        VisionTask,
        can_resume,
        examine_labels,
        fit,
        frequencies,
        layers,
        metadata,
        note_data,
        predict_logits,
        require_order,
        require_same_data,
        specify,
        used_data,
    )
    from src.typed import require_types

log = logging.getLogger(__name__)

RAISED = ("class_weights", "logit_adjustment")  # what would count a rare class twice beside a balanced draw
# What of the data and the backbone an audit makes no use of.
TRAINING_ONLY = ("augment", "batch_size", "num_workers", "seed")


def main(config: DictConfig) -> float | None:
    """Train once and move `latest`; in a multirun a failed run becomes a row of the table and the others go on."""
    hydra = HydraConfig.get()
    overrides = list(hydra.overrides.task)
    if hydra.mode != RunMode.MULTIRUN:
        config = config if config.resume is None else resumed(config, overrides)
        score = train(config, Path(config.run_dir), overrides)
        point_latest(Path(config.run_dir))
        return score
    folder = Path(hydra.runtime.output_dir)
    try:
        return train(config, folder, overrides)
    except Exception as error:  # any fault of one run is its row in the table
        log.error("run %s failed: %s", folder.name, one_line(error))
        write_text(folder / "overrides.json", json.dumps(list(map(as_typed, overrides))))
        write_text(folder / "error.txt", f"{one_line(error)}\n")
        return None


def train(config: DictConfig, folder: Path, overrides: list[str]) -> float:
    """Compose, fit, judge and write the run; return its score on validation."""
    if config.resume is None:
        require_new(str(config.name), folder)
    require_types(config)
    trainer: TrainerOptions = instantiate(config.trainer)
    data, task = compose(config)
    pass_gate(task.setting.backbone, data, config)
    if config.resume is not None:
        require_same_data(folder, data)
    data.keep_splits()
    settings = OmegaConf.to_container(config, resolve=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "overrides.json", json.dumps(list(map(as_typed, overrides))))
    write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(settings)))
    note_data(folder, data)
    fitted = _fit(config, folder, task, data, trainer)
    spec, adaptation = task.setting.task, task.setting.adaptation
    splits = ("val", "test")
    logits = {split: predict_logits(task.model, data.loader(split), data.image, spec) for split in splits}
    predictions = tabulate(logits, {split: data.samples(split) for split in splits}, spec)
    provenance = {
        "config": settings,
        "data": used_data(data),
        "versions": versions(),
        "date": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
    }
    saved = adaptation.save(folder, task.model, metadata(task.setting, provenance))
    costs = {**task.parameter_counts(), "adapter_bytes": saved.stat().st_size, **asdict(fitted)}
    metrics = record(folder, predictions, spec.positive, costs)
    about = describe(config, data, task, provenance, overrides)
    write_report(folder, about)
    summary(Console(), folder, metrics, about, next_commands(folder, predictions.paths[-1]))
    score = metrics["val"][SCORES[spec.kind]]
    return float("nan") if score is None else float(score)


def require_new(name: str, folder: Path) -> None:
    """Refuse a name that leads out of `exports`, and a folder with a run in it.

    Raises:
        ValueError: It is one.
    """
    parts = Path(name).parts
    if not parts or ".." in parts or Path(name).is_absolute():
        raise ValueError(f"name={name} is no folder in exports: choose a name, or put the run elsewhere by run_dir=DIR")
    if (folder / "config.yaml").exists():
        raise ValueError(f"{folder} holds a run already: choose another run_dir, or go on with it by resume={folder}")


def _fit(config: DictConfig, folder: Path, task: VisionTask, data: ImageData, trainer: TrainerOptions) -> Fitted:
    """Fit, and say how to go on where it was stopped."""
    callbacks = list(instantiate(config.callbacks or {}).values())
    try:
        loggers = [logger(save_dir=folder) for logger in instantiate(config.logger or {}).values()]
    except ModuleNotFoundError as error:
        raise ValueError(f"logger: {error}") from error
    try:
        return fit(task, data, trainer, folder, callbacks, loggers, resume=config.resume is not None)
    except KeyboardInterrupt:
        again = f"go on with python -m src.train {shlex.quote(f'resume={folder}')}"
        log.warning(
            "stopped: %s", again if can_resume(folder) else "no epoch was whole, there is nothing to go on from"
        )
        raise


def compose(config: DictConfig) -> tuple[ImageData, VisionTask]:
    """Build the data and the task that the config names."""
    seed_everything(config.seed, workers=True, verbose=False)
    backbone = instantiate(config.backbone)
    data: ImageData = instantiate(config.data)(image=backbone.image_spec())
    data.setup()
    make = instantiate(config.task)
    if config.data.get("balanced") and any((config.task.get("imbalance") or {}).get(key) for key in RAISED):
        raise ValueError(
            "data.balanced draws rare classes often already: leave it out, or task.imbalance.class_weights"
        )
    if config.resume is None:  # an older run has its order
        require_order(make.func.kind, data)
    spec = specify(make.func.kind, data, config.views)
    adaptation = instantiate(config.lora, _convert_="all")
    setting = Setting(backbone, adaptation, data.image, spec, config.seed, frequencies(data))
    parts = {"optimizer": instantiate(config.optimizer), "scheduler": instantiate(config.scheduler)}
    task: VisionTask = make(setting, **parts)
    task.configure_model()
    task.require_steps()
    return data, task


def pass_gate(backbone: Backbone, data: ImageData, config: DictConfig) -> None:
    """Look at the data before the first step, and say what warns.

    Raises:
        PromiseError: Something was found with which no training may begin.
    """
    labels = examine_labels(backbone, data)
    log.info("labels: %s", labels.describe())
    audit = check(data.collection(labels), data.allow)
    for finding in audit.findings:
        log.warning("data: %s (%s)", finding.text, finding.kind)
    if audit.stopping:
        look = command_line("audit", config, unseen=TRAINING_ONLY)
        raise PromiseError(
            f"the data gate stops this training ({', '.join(finding.kind for finding in audit.stopping)}): see "
            f"{look}, or allow it by name: data.allow=[KIND]"
        )


def resumed(config: DictConfig, overrides: list[str]) -> DictConfig:
    """Return the settings of the run to resume; only the trainer's may be changed.

    Raises:
        ValueError: There is no such run, or another setting was given.
    """
    folder = Path(config.resume).resolve()  # `latest` is a link, and is moved to the run when it ends
    if not (folder / "config.yaml").is_file():
        raise ValueError(f"resume={folder}: no config.yaml there; give the run folder of a training")
    settings = OmegaConf.load(folder / "config.yaml")
    assert isinstance(settings, DictConfig)
    for override in overrides:
        key, _, _ = override.lstrip("+").partition("=")
        if key.startswith("trainer."):
            OmegaConf.update(settings, key, OmegaConf.select(config, key))
        elif key != "resume":
            raise ValueError(f"resume takes the run's own settings; {override!r} would change them: only trainer.* may")
    settings.trainer._target_ = config.trainer._target_  # an older run has Lightning's own
    settings.trainer.pop("_partial_", None)
    settings.resume, settings.run_dir = str(folder), str(folder)
    return settings


def describe(
    config: DictConfig, data: ImageData, task: VisionTask, provenance: dict[str, Any], overrides: list[str]
) -> About:
    """Say what was trained on what, for the report."""
    setting = task.setting
    return About(
        experiment=config.name,
        backbone=setting.backbone.name,
        weights=setting.backbone.origin,
        weights_licence=setting.backbone.known_licence,
        data=data.listing.name,
        data_licence=data.listing.licence,
        fingerprint=data.fingerprint,
        counts=data.counts,
        classes=data.classes,
        positive=data.positive,
        method=setting.adaptation.describe(task.model),
        layers=layers(task.model),
        versions=provenance["versions"],
        date=provenance["date"],
        left_out=tuple(f"{path}: {reason}" for path, reason in data.left_out),
        command=shlex.join(["python", "-m", "src.train", *map(as_typed, overrides)]),
        bit_depth=setting.image.bit_depth,
        kind=setting.task.kind,
    )


def next_commands(folder: Path, picture: str) -> list[str]:
    """Return the two commands that bring the run to the camera."""
    return [
        shlex.join(["python", "-m", "src.export", f"adapter={folder}", "precision=fp32"]),
        shlex.join(["python", "-m", "src.predict", f"model={folder}", f"input={picture}"]),
    ]


def point_latest(folder: Path) -> None:
    """Move the relative link `latest` beside `folder` to it, in one step."""
    beside = folder.parent / ".latest"
    beside.unlink(missing_ok=True)
    beside.symlink_to(folder.name)
    os.replace(beside, folder.parent / "latest")


if __name__ == "__main__":
    scores = run(main, "train")
    sys.exit(PROMISE_FAILED if scores and all(score is None for score in scores) else DONE)
