"""Train: `python -m src.train +experiment=defects` leaves a run folder with adapter, figures and report."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from .atomic import write_text
from .command import (
    DONE,
    PROMISE_FAILED,
    PromiseError,
    one_line,
    requires,
    run,
    versions,
)
from .overrides import as_typed

with requires("train"):
    from hydra.utils import instantiate
    from lightning.pytorch import seed_everything
    from rich.console import Console

    from .data import ImageData
    from .data.moved import OWN_DATA
    from .folders import is_named
    from .recipe import plan, settle_symmetry
    from .report import About, record, summary, tabulate, write_report
    from .resumed import resumed
    from .spec import SCORES
    from .tasks import (
        START,
        Fitted,
        Setting,
        TrainerOptions,
        VisionTask,
        can_resume,
        fit,
        frequencies,
        layers,
        metadata,
        note_data,
        point_latest,
        predict_logits,
        read_views,
        require_name,
        require_new,
        require_order,
        require_same_cut,
        require_same_images,
        run_folder,
        specify,
        used_data,
    )
    from .training import audit_data, remove_refusal, write_refusal
    from .typed import require_types

log = logging.getLogger(__name__)

RAISED = ("class_weights", "logit_adjustment")  # what would count a rare class twice beside a balanced draw


def main(config: DictConfig) -> float | None:
    """Train once and move `latest`; in a multirun a failed run becomes a row of the table and the others go on."""
    hydra = HydraConfig.get()
    overrides = [override for override in hydra.overrides.task if override != OWN_DATA]
    if hydra.mode != RunMode.MULTIRUN:
        if config.resume is not None:
            return train(resumed(config, overrides), overrides, named=True)
        return train(config, overrides, named=is_named("run_dir"))
    if config.resume is not None:
        raise ValueError("resume goes on with one training: leave out -m")
    # As it was typed: Hydra's output_dir is absolute.
    folder = config.run_dir = str(Path(hydra.sweep.dir, str(hydra.sweep.subdir)))
    try:
        return train(config, overrides, named=True, latest=False)
    except Exception as error:  # any fault of one run is its row in the table
        log.error("run %s failed: %s", Path(folder).name, one_line(error))
        write_text(Path(folder) / "overrides.json", json.dumps(list(map(as_typed, overrides))))
        write_text(Path(folder) / "error.txt", f"{one_line(error)}\n")
        return None


def train(config: DictConfig, overrides: list[str], named: bool, latest: bool = True) -> float:
    """Compose and claim the run folder, fit, judge and write the run; return its score on validation.

    Args:
        config: The settings; `run_dir` is where the run belongs.
        overrides: What the user asked for.
        named: Whether the user named the run folder; else another one is made where it is taken.
        latest: Whether the link `latest` is moved to the run.
    """
    resume, folder = config.resume is not None, Path(config.run_dir)
    if not resume:
        require_name(None if config.name is None else str(config.name))
        if named:
            require_new(folder)
    require_types(config)
    trainer: TrainerOptions = instantiate(config.trainer)
    data, task = compose(config)
    audit = audit_data(task.to(trainer.device), data, resume)
    if audit.stopping:
        with run_folder(folder, named, resume) as folder:
            refusal = write_refusal(folder, audit, data, command_line(overrides))
        raise PromiseError(refusal)
    settle_symmetry(config, task.setting.backbone, data)
    trainer = plan(config, trainer, data)
    if resume:
        require_same_cut(folder, data)
    with run_folder(folder, named, resume) as folder:
        config.run_dir = str(folder)
        remove_refusal(folder)
        data.keep_splits()
        score = _train(config, folder, data, task, trainer, overrides)
        if latest:
            point_latest(folder)
    return score


def _train(
    config: DictConfig,
    folder: Path,
    data: ImageData,
    task: VisionTask,
    trainer: TrainerOptions,
    overrides: list[str],
) -> float:
    settings = OmegaConf.to_container(config, resolve=True)
    write_text(folder / "overrides.json", json.dumps(list(map(as_typed, overrides))))
    yaml = OmegaConf.to_yaml(OmegaConf.create(settings))
    write_text(folder / "config.yaml", yaml)
    note_data(folder, data)
    fitted = _fit(config, folder, task, data, trainer)
    spec, adaptation = task.setting.task, task.setting.adaptation
    logits = predict_logits(task.model, data, ("val", "test"), data.image, spec)
    predictions = tabulate(logits, {split: data.samples(split) for split in logits}, spec)
    provenance = {
        "config": settings,
        "data": used_data(data),
        "versions": versions(),
        "date": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
    }
    saved = adaptation.save(folder, task.model, metadata(task.setting, provenance))
    costs = {**task.parameter_counts(), "adapter_bytes": saved.stat().st_size, **fitted.costs}
    metrics = record(folder, predictions, spec.positive, costs)
    about = replace(describe(config, data, task, provenance, overrides), config=yaml)
    write_report(folder, about, predictions, metrics, fitted.history)
    summary(Console(), folder, metrics, about, next_commands(folder, predictions.paths[-1]))
    score = metrics["val"][SCORES[spec.kind]]
    return float("nan") if score is None else float(score)


def _fit(config: DictConfig, folder: Path, task: VisionTask, data: ImageData, trainer: TrainerOptions) -> Fitted:
    """Fit, and say how to go on where it was stopped."""
    callbacks = [each for each in instantiate(config.callbacks or {}).values() if each is not None]
    try:
        loggers = [logger(save_dir=folder) for logger in instantiate(config.logger or {}).values()]
    except ModuleNotFoundError as error:
        raise ValueError(f"logger: {error}") from error
    try:
        fitted = fit(task, data, trainer, folder, callbacks, loggers, resume=config.resume is not None)
    except KeyboardInterrupt:
        again = f"python -m src.train {shlex.quote(f'resume={folder}')}"
        log.warning(
            "stopped: %s %s", "go on with" if can_resume(folder) else "no epoch was whole; begin anew with", again
        )
        raise
    if fitted.best_epoch == START:
        log.warning("every epoch is below the head alone on val: that head is kept, and the adapters change nothing")
    return fitted


def compose(config: DictConfig) -> tuple[ImageData, VisionTask]:
    """Build the data and the task that the config names."""
    seed_everything(config.seed, workers=True, verbose=False)
    backbone = instantiate(config.backbone)
    data: ImageData = instantiate(config.data)(image=backbone.image_spec())
    if config.resume is not None:
        require_same_images(Path(config.run_dir), data)
    data.setup()
    make = instantiate(config.task)
    if config.data.get("balanced") and any((config.task.get("imbalance") or {}).get(key) for key in RAISED):
        raise ValueError(
            "data.balanced draws rare classes often already: leave it out, or task.imbalance.class_weights"
        )
    if config.resume is None:  # an older run has its order
        require_order(make.func.kind, data)
    spec = specify(make.func.kind, data, read_views(config.views, data.image))
    adaptation = instantiate(config.lora, _convert_="all")
    setting = Setting(backbone, adaptation, data.image, spec, config.seed, frequencies(data))
    parts = {"optimizer": instantiate(config.optimizer), "scheduler": instantiate(config.scheduler)}
    task: VisionTask = make(setting, **parts)
    task.configure_model()
    task.require_steps()
    return data, task


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
        method=(*setting.adaptation.describe(task.model), *(config.get("recipe") or {}).values()),
        layers=layers(task.model),
        versions=provenance["versions"],
        date=provenance["date"],
        left_out=tuple(f"{path}: {reason}" for path, reason in data.left_out),
        command=command_line(overrides),
        bit_depth=setting.image.bit_depth,
        kind=setting.task.kind,
        views=setting.task.views,
    )


def command_line(overrides: list[str]) -> str:
    """Return the command line of the training, ready to paste."""
    return shlex.join(["python", "-m", "src.train", *map(as_typed, overrides)])


def next_commands(folder: Path, picture: str) -> list[str]:
    """Return the two commands that bring the run to the camera."""
    return [
        shlex.join(["python", "-m", "src.export", f"adapter={folder}", "precision=fp32"]),
        shlex.join(["python", "-m", "src.predict", f"model={folder}", f"input={picture}"]),
    ]


if __name__ == "__main__":
    given = (word.lstrip("+") for word in sys.argv[1:])
    if any(word.startswith("resume=") and word != "resume=null" for word in given):
        sys.argv.append(OWN_DATA)  # its keys are those of every source
    scores = run(main, "train", sweeps=True)
    sys.exit(PROMISE_FAILED if scores and all(score is None for score in scores) else DONE)
