"""Train: `python -m src.train +experiment=defects` leaves a run folder with adapter, figures and report."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from .atomic import write_text
from .command import PromiseError, one_line, requires, run
from .overrides import OWN_DATA, as_typed
from .package import shell_line

if __name__ == "__main__":
    given = (word.lstrip("+") for word in sys.argv[1:])
    if any(word.startswith("resume=") and word != "resume=null" for word in given):
        sys.argv.append(OWN_DATA)  # its keys are those of every source
    run("train", sweeps=True, needs="torch")

with requires("train"):
    from .folders import is_named
    from .targets import instantiate
    from .tasks import (
        START,
        Fitted,
        TrainerOptions,
        can_resume,
        fit,
        point_latest,
        require_name,
        require_new,
        require_same_cut,
        run_folder,
    )
    from .training import (
        Run,
        audit_data,
        command_line,
        compose,
        compose_callbacks,
        compose_loggers,
        refuse,
        remove_refusal,
    )
    from .training.recipe import plan, settle_symmetry
    from .training.resume import resume_settings
    from .typed import require_types

log = logging.getLogger(__name__)


def main(config: DictConfig) -> float | None:
    """Train once and move `latest`; in a multirun a failed run becomes a row of the table and the others go on."""
    hydra = HydraConfig.get()
    overrides = [override for override in hydra.overrides.task if override != OWN_DATA]
    if hydra.mode != RunMode.MULTIRUN:
        if config.resume is not None:
            return train(resume_settings(config, overrides), overrides, named=True)
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
    """Compose, pass the data gate, plan, fit, and write the run; return its score on validation.

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
        raise PromiseError(refuse(folder, named, resume, audit, data, command_line(overrides)))
    settle_symmetry(config, task.setting.backbone, data)
    trainer = plan(config, trainer, data)
    if resume:
        require_same_cut(folder, data)
    with run_folder(folder, named, resume) as folder:
        config.run_dir = str(folder)
        remove_refusal(folder)
        data.keep_splits()
        made = Run(folder, config, overrides, data, task)
        made.write_settings()
        score = made.finish(fit_or_advise(made, trainer))
        if latest:
            point_latest(folder)
    return score


def fit_or_advise(made: Run, trainer: TrainerOptions) -> Fitted:
    """Fit, and say how to go on where the user stops it."""
    config, folder = made.config, made.folder
    callbacks, loggers = compose_callbacks(config), compose_loggers(config, folder)
    asked = made.task.setting.task.views
    try:
        fitted = fit(made.task, made.data, trainer, folder, callbacks, loggers, resume=config.resume is not None)
    except KeyboardInterrupt:
        again = shell_line("train", f"resume={folder}")
        log.warning(
            "stopped: %s %s", "go on with" if can_resume(folder) else "no epoch was whole; begin anew with", again
        )
        raise
    if fitted.best_epoch == START:
        log.warning("every epoch is below the head alone on val: that head is kept, and the adapters change nothing")
        if asked != made.task.setting.task.views:
            log.warning("it was fitted and scored on images as they are, and ships so, without the other views")
    return fitted
