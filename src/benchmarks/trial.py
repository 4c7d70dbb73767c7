"""One training of suite `claims`: one method on one data set under one seed, in a process of its own."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor
from torch.optim import AdamW

from ..backbones import Backbone
from ..data import ImageData
from ..data.transforms import defects
from ..metrics import compute
from ..remarks import ignore_remarks
from ..report import tabulate
from ..tasks import (
    ClassificationTask,
    Setting,
    TrainerOptions,
    fit,
    frequencies,
    metadata,
    predict_logits,
    task_spec,
    warmup_cosine,
)
from ..tasks.build import best_device
from ..tasks.progress import last_checkpoint
from .contenders import CONTENDERS
from .forgetting import forgetting
from .measure import held, peaks
from .sets import open_set
from .suite import Row

WEIGHT_DECAY, WARM_UP, LABEL_SMOOTHING = 0.01, 0.2, 0.05
FIXED_IMAGES = 8
MIB = 2**20


@dataclass(frozen=True)
class Trial:
    """What decides the outcome of one training; every field is a key of its row."""

    model: str
    weights: str
    dataset: str
    seed: int
    method: str
    learning_rate: float
    epochs: int
    batch: int
    image_size: int
    limit: int | None


class Curve(Callback):
    """The validation score after each epoch, and the seconds since the fit began: the head's start counts."""

    def __init__(self) -> None:
        self.points: list[dict[str, float]] = []
        self._start = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's point."""
        score = float(trainer.callback_metrics["val/balanced_accuracy"])
        self.points.append({"seconds": time.perf_counter() - self._start, "val_balanced_accuracy": score})


def run_trial(trial: Trial, root: Path, cache: Path) -> Row:
    """Train, and measure what it took and brought: to be called in a fresh process.

    Args:
        trial: What to train.
        root: The folder of data sets.
        cache: Folder of decoded images.
    """
    ignore_remarks()
    seed_everything(trial.seed, workers=True, verbose=False)
    data = _data(trial, root, cache)
    task = _task(trial, data)
    contender, curve = CONTENDERS[trial.method], Curve()
    with tempfile.TemporaryDirectory(prefix="graft-trial-") as name, redirect_stdout(sys.stderr):
        folder = Path(name)
        with _peak() as peak:
            options = TrainerOptions(max_epochs=trial.epochs, log_every_n_steps=10)
            fitted = fit(task, data, options, folder, callbacks=[curve])
        saved = task.setting.adaptation.save(folder, task.model, metadata(task.setting, {}))
        sizes = {
            "adapter_bytes": saved.stat().st_size,
            "checkpoint_bytes": last_checkpoint(folder).stat().st_size,
        }
    row: Row = {**_scores(task, data), "seconds": fitted.train_seconds, **peak, **sizes}
    row |= {"kept_epoch": fitted.best_epoch, "curve": curve.points, **task.parameter_counts()}
    row["targets"] = contender.targets(task.model)
    plain, setting = contender.undo(task.model), task.setting
    row["forgetting_max_abs"] = forgetting(plain, setting.backbone, setting.image, setting.task, _fixed(data))
    return row


def seconds_to(curve: list[dict[str, float]], score: float) -> float | None:
    """Return the first moment at which a curve is at least at `score`, in seconds; None when it never is."""
    return next((point["seconds"] for point in curve if point["val_balanced_accuracy"] >= score), None)


def _data(trial: Trial, root: Path, cache: Path) -> ImageData:
    data = open_set(
        trial.dataset,
        root,
        image=Backbone(trial.model, trial.weights).image_spec(),
        image_size=trial.image_size,
        batch_size=trial.batch,
        seed=trial.seed,
        limit=trial.limit,
        augment=defects(),
        cache_dir=str(cache),
    )
    data.setup()
    return data


def _task(trial: Trial, data: ImageData) -> ClassificationTask:
    """Build the network where it will be trained, so that it is there before memory is measured."""
    setting = Setting(
        Backbone(trial.model, trial.weights),
        CONTENDERS[trial.method].adaptation,
        data.image,
        task_spec(ClassificationTask.kind, data),
        trial.seed,
        frequencies(data),
    )
    task = ClassificationTask(
        setting,
        LABEL_SMOOTHING,
        optimizer=partial(AdamW, lr=trial.learning_rate, weight_decay=WEIGHT_DECAY, fused=True),
        scheduler=partial(warmup_cosine, warmup=WARM_UP),
    )
    task.configure_model()
    return task.to(best_device())


@contextmanager
def _peak() -> Iterator[dict[str, Any]]:
    """Yield a mapping that gets `peak_mib`: the most memory held inside, less what was held at the start.

    On a GPU what torch allocated there; else anonymous memory, since the system can take pages of files back.
    """
    found: dict[str, Any] = {"peak_mib": None}
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield found
        found["peak_mib"] = (torch.cuda.max_memory_allocated() - before) / MIB
        return
    start = held()
    with peaks() as peak:
        yield found
    if start:
        found["peak_mib"] = (peak["peak_anonymous_bytes"] - start["anonymous_bytes"]) / MIB


def _scores(task: ClassificationTask, data: ImageData) -> Row:
    """Return the figures of the kept epoch on test, and on val with a prefix."""
    spec = task.setting.task
    row: Row = {}
    for split, logits in predict_logits(task.model, data, ("test", "val"), data.image, spec).items():
        figures = compute(tabulate({split: logits}, {split: data.samples(split)}, spec), spec.positive)
        prefix = "val_" if split == "val" else ""
        row |= {f"{prefix}{name}": figures[name] for name in ("balanced_accuracy", "auroc")}
    return row


def _fixed(data: ImageData) -> Tensor:
    """Return the first images of test, as pixels."""
    pixels: Tensor = next(iter(data.loader("test")))[0]
    return pixels[:FIXED_IMAGES]
