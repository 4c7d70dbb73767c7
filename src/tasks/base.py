"""The LightningModule of every task: build and adapt the network, training and validation steps."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from ..backbones.pixels import average_views
from ..data import ImageData
from ..kinds import find_kind
from ..lora import apply_ratios, parameter_groups
from ..metrics import Figures
from .build import build, network_input
from .head import PENALTIES, fit_head, linear_head
from .head_start import FrozenFeatures, HeadStart, score_head
from .learnt_state import LearntState
from .probe import require_alive
from .score import ScoreWindow, SplitFigures, figures
from .setting import Setting

log = logging.getLogger(__name__)
START = -1  # the fitted head alone, as an epoch before the first
Batch = tuple[Tensor, ...]  # pixels, targets, indices, and weights where the training images have them


class VisionTask(LearntState, ABC):
    """Train one adapted backbone; a task subclasses it and implements the loss."""

    kind: ClassVar[str]  # name of one of `src.kinds`
    penalties: ClassVar[tuple[float, ...]] = PENALTIES  # what the head's start chooses from

    def __init__(
        self,
        setting: Setting,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        warm_start: bool = True,
        lora_plus_ratio: float = 1.0,
    ) -> None:
        """Keep the choices; the network itself is built in `configure_model`.

        Args:
            setting: Backbone, adaptation, image and task.
            optimizer: Called with the trainable parameters.
            scheduler: Called with the optimiser and `total_steps`; stepped after every optimiser step.
            warm_start: Begin with a logistic head on the frozen features, where the head is one linear layer.
            lora_plus_ratio: Learning rate of every B divided by that of the rest (LoRA+).
        """
        super().__init__()
        assert setting.task.kind == self.kind
        self.setting, self._lora_plus_ratio = setting, lora_plus_ratio
        self._optimizer, self._scheduler, self._warm_start = optimizer, scheduler, warm_start
        self.val_figures = SplitFigures(setting.task)
        self.window = ScoreWindow()
        self._frozen: FrozenFeatures | None = None
        self.head_start: HeadStart | None = None  # None where no head was fitted, or it cannot be compared
        self.score_error = 0.0  # standard error of the last epoch's score
        self.strict_loading = False  # a checkpoint holds what was learnt; the frozen base is built anew

    @property
    def score(self) -> str:
        """Name of the figure that steers the training, higher is better."""
        return find_kind(self.kind).score

    @abstractmethod
    def losses(self, logits: Tensor, targets: Tensor, smooth: bool = False) -> Tensor:
        """Return the loss of every image (N).

        Args:
            logits: N x outputs.
            targets: As the data gives them, `src.data.targets`, with soft ones in training.
            smooth: Whether the targets are blurred as the task was told to, in training.
        """

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None, smooth: bool = False) -> Tensor:
        """Return the mean loss of a batch: the mean of loss times weight over its images.

        Args:
            logits: N x outputs.
            targets: As `losses`.
            weights: How much each image counts (N), with mean 1 over the whole training split; None is 1 for each.
            smooth: As `losses`.
        """
        each = self.losses(logits, targets, smooth)
        return each.mean() if weights is None else (weights * each).mean()

    def configure_model(self) -> None:
        """Build the backbone and adapt it, once."""
        if "model" in self._modules:
            return
        setting = self.setting
        # The init of head and adapters is a function of the seed alone, whatever drew before.
        torch.manual_seed(setting.seed)
        model = build(setting.backbone, setting.image, setting.task)
        self.total_parameters = sum(parameter.numel() for parameter in model.parameters())
        setting.adaptation.prepare(model)
        self.model = model.train()  # Lightning keeps the mode it finds, and a backbone comes in eval mode

    def images(self, pixels: Tensor) -> Tensor:
        """Return the network's input for pixels of N x 3 x H x W, uint8."""
        return network_input(self.model, pixels, self.setting.image)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits that are shipped (N x classes): the views' average, for N x 3 x H x W uint8."""
        return average_views(self.model, self.images(pixels), self.setting.task.views)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of an augmented batch."""
        pixels, targets, _, *rest = batch
        loss = self.loss(self.model(self.images(pixels)), targets, rest[0] if rest else None, smooth=True)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(targets))
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Score a batch of validation images in the identity view alone: each view costs a forward pass."""
        pixels, targets, _ = batch
        logits = self.model(self.images(pixels))
        if not logits.isfinite().all():
            raise ValueError(
                f"the training diverged in epoch {self.current_epoch}: the logits are not finite; lower optimizer.lr"
            )
        self.log("val/loss", self.loss(logits, targets), batch_size=len(targets))
        self.val_figures.update(logits, targets)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the epoch, and the score that decides which epoch is kept."""
        found = self.val_figures.compute()
        error = self.val_figures.standard_error(self.score)
        self.val_figures.reset()
        if self.trainer.sanity_checking:
            return
        self.score_error = error
        # `val/loss` comes from `validation_step`: the training's own, which may weigh classes.
        known = {name: value for name, value in found.items() if name != "loss"}
        self.log_dict({f"val/{name}": math.nan if value is None else value for name, value in known.items()})
        self.window.add(self._steering(found))
        self.log("val/score", self.window.mean, prog_bar=True)

    def on_fit_start(self) -> None:
        """Initialise head and adapters from the data, then require that every adapter gets gradients."""
        if self.trainer.ckpt_path is not None:  # resumed: the checkpoint holds head and adapters
            return
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        self._start_head(data)
        self.setting.adaptation.start(self.model, (images for images, _ in self._batches(data.loader("train"))))
        require_alive(self.model, self._losses(data.train_dataloader()))

    def frozen_features(self, data: ImageData) -> FrozenFeatures | None:
        """Return what the head's start will be fitted on, for others to look at; None where no head is fitted."""
        head = linear_head(self.model) if self._warm_start else None
        if head is not None and self._frozen is None:
            self._frozen = FrozenFeatures(self.model, head, self.setting.image, data)
        return self._frozen

    @property
    def seconds_ahead(self) -> float:
        """Time that others have already spent on what the training will need of `frozen_features`."""
        return 0.0 if self._frozen is None else self._frozen.seconds

    def _start_head(self, data: ImageData) -> None:
        """Fit the head on frozen features; its score is the baseline that epochs must reach."""
        head, frozen = linear_head(self.model), self.frozen_features(data)
        if head is None or frozen is None:
            return
        train, val = frozen.split("train"), frozen.split("val")
        self._frozen = None  # gives the memory back: once the head is fitted, nobody asks for them
        score = fit_head(head, train, val, self.loss, self._score, data.weights(), self.penalties)
        log.info("head fitted on frozen features: %s %.4f on val", self.score.replace("_", " "), score)
        if self.trainer.limit_val_batches == 1.0:  # else epochs are scored on other images than the head
            self.head_start = score_head(head, val, self.setting.task)
            self.score_error = self.head_start.error

    @property
    def start_score(self) -> float | None:
        """The score of the fitted head on val before the first epoch; None where no head was fitted."""
        return None if self.head_start is None else self._steering(self.head_start.figures)

    def on_train_epoch_start(self) -> None:
        """Seed each epoch by seed and epoch, so that a resumed training equals an uninterrupted one."""
        torch.manual_seed(self.setting.seed * 1_000_003 + self.current_epoch)

    def configure_optimizers(self) -> Any:
        """Optimise what requires a gradient."""
        optimizer, scheduler = self._steps(int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def require_steps(self) -> None:
        """Build optimizer and scheduler once, so that wrong settings fail before the training.

        Raises:
            ValueError: One of them refuses what it is given.
        """
        try:
            self._steps(100)
        except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"optimizer or scheduler: {error}") from error

    def _steps(self, total: int) -> tuple[Optimizer, LRScheduler]:
        optimizer = apply_ratios(self._optimizer(parameter_groups(self, self._lora_plus_ratio)))
        return optimizer, self._scheduler(optimizer, total_steps=total)

    def parameter_counts(self) -> dict[str, int]:
        """Return how many values are trained, and how many the plain network has, its head included."""
        trained = sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)
        return {"trainable_parameters": trained, "total_parameters": self.total_parameters}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the scores that the next epoch is scored with."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["scores"] = list(self.window.scores)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another model, and take its scores up."""
        super().on_load_checkpoint(checkpoint)
        self.window.scores = list(checkpoint.get("scores", ()))  # an older checkpoint has none

    def _batches(self, loader: DataLoader[Any]) -> Iterator[tuple[Tensor, Tensor]]:
        for pixels, targets, *_ in loader:
            yield self.images(pixels.to(self.device)), targets

    def _losses(self, loader: DataLoader[Any]) -> Iterator[Tensor]:
        """Yield the loss of each batch, in the precision of a training step."""
        for images, targets in self._batches(loader):
            with self.trainer.precision_plugin.train_step_context():
                loss = self.loss(self.model(images), targets.to(self.device), smooth=True)
            yield loss

    def _score(self, logits: Tensor, targets: Tensor) -> float:
        return self._steering(figures(logits, targets, self.setting.task))

    def _steering(self, found: Figures) -> float:
        """Return the figure that steers, NaN of outputs that are; `task_spec` refuses a val where it is undefined."""
        value = found[self.score]
        if value is None:  # of a part of val
            raise ValueError(
                f"the validation images have no {self.score.replace('_', ' ')}, which steers the training: "
                "give val more of them, and leave out trainer.limit_val_batches"
            )
        return value
