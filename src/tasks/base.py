"""The LightningModule that every task shares: build, adapt, step, score."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from ..backbones import Backbone
from ..backbones.pixels import average_views
from ..data import ImageData
from ..lora import Layer, apply_ratios, injection_of, parameter_groups
from ..metrics import Figures
from ..spec import SCORES, ImageSpec, TaskSpec
from .adaptation import Adaptation
from .build import build, network_input
from .head import PENALTIES, features, fit_head, linear_head
from .probe import require_alive
from .score import SplitFigures, figures, standard_error
from .views import require_turnable

log = logging.getLogger(__name__)
START = -1  # the fitted head alone, as an epoch before the first
SCORED_EPOCHS = 3  # the window that an epoch is scored by: it and the two before it
Batch = tuple[Tensor, ...]  # pixels, targets, indices, and weights where the training images have them


@dataclass(frozen=True)
class Setting:
    """What a task is built on.

    Attributes:
        backbone: The network and its weights.
        adaptation: How it is made to learn.
        image: The network's input.
        task: Classes, positive class and views.
        seed: Decides the adapters' start and everything random in an epoch.
        frequencies: Part of the training images that each class has, in their order; needed where rare ones are raised.
    """

    backbone: Backbone
    adaptation: Adaptation
    image: ImageSpec
    task: TaskSpec
    seed: int = 0
    frequencies: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse views that the input's shape does not allow."""
        require_turnable(self.task.views, self.image)


class VisionTask(LightningModule, ABC):
    """One adapted backbone in training; a task subclasses it and says what its loss is."""

    model: nn.Module
    kind: ClassVar[str]  # one of `src.spec.KINDS`
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
        self._scores: list[float] = []
        self.start_figures: Figures | None = None  # of the fitted head on val, before the first epoch
        self.score_error = 0.0  # standard error of the last epoch's score
        self.strict_loading = False  # a checkpoint holds what was learnt; the frozen base is built anew

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
        """Score a batch of validation images by the picture as it is: other views would cost a pass each."""
        pixels, targets, _ = batch
        logits = self.model(self.images(pixels))
        if not logits.isfinite().all():
            raise ValueError(
                f"the training diverged in epoch {self.current_epoch}: the logits are not finite; lower optimizer.lr"
            )
        self.log("val/loss", self.loss(logits, targets), batch_size=len(targets))
        self.val_figures.update(logits, targets)

    def on_validation_epoch_end(self) -> None:
        """Report the epoch's figures as the report would, and the score that decides which epoch is kept."""
        found = self.val_figures.compute()
        error = self.val_figures.standard_error(SCORES[self.kind])
        self.val_figures.reset()
        if self.trainer.sanity_checking:
            return
        self.score_error = error
        # The loss is the training's own, which may weigh classes.
        self.log_dict({f"val/{name}": _number(value) for name, value in found.items() if name != "loss"})
        self._scores = [*self._scores, self._steering(found)][-SCORED_EPOCHS:]
        self.log("val/score", self.window_score, prog_bar=True)

    @property
    def window_score(self) -> float:
        """The mean score of the last `SCORED_EPOCHS` epochs that were scored, or of those that there are."""
        return sum(self._scores) / len(self._scores)

    @property
    def window_is_whole(self) -> bool:
        """Whether there are so many."""
        return len(self._scores) == SCORED_EPOCHS

    def on_fit_start(self) -> None:
        """Start head and adapters from the data, then see that every adapter learns, unless training is resumed."""
        if self.trainer.ckpt_path is not None:
            return
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        head = linear_head(self.model)
        if self._warm_start and head is not None:
            self._start_head(head, data)
        self.setting.adaptation.start(self.model, (images for images, _ in self._batches(data.loader("train"))))
        require_alive(self.model, self._losses(data.train_dataloader()))

    def _start_head(self, head: nn.Linear, data: ImageData) -> None:
        """Fit the head on the frozen features, and score it: what comes after must not be worse."""
        train, val = (features(self.model, head, self._batches(data.loader(split))) for split in ("train", "val"))
        score = fit_head(head, train, val, self.loss, self._score, data.weights(), self.penalties)
        log.info("head fitted on frozen features: %s %.4f on val", SCORES[self.kind].replace("_", " "), score)
        if self.trainer.limit_val_batches != 1.0:  # epochs are scored on other images, and nothing can be compared
            return
        with torch.no_grad():
            logits = head(val[0].to(head.weight.device)).cpu()
        self.start_figures = figures(logits, val[1], self.setting.task)
        self.score_error = standard_error(logits, val[1], self.setting.task, SCORES[self.kind])

    @property
    def start_score(self) -> float | None:
        """The score of the fitted head on val before the first epoch; None where no head was fitted."""
        return None if self.start_figures is None else self._steering(self.start_figures)

    def on_train_epoch_start(self) -> None:
        """Make an epoch's randomness a function of seed and epoch, so that a resumed training is an unbroken one."""
        torch.manual_seed(self.setting.seed * 1_000_003 + self.current_epoch)

    def configure_optimizers(self) -> Any:
        """Optimise what requires a gradient."""
        optimizer, scheduler = self._steps(int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def require_steps(self) -> None:
        """Build optimizer and scheduler to try them, once there is a model.

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
        """Leave the frozen base out of the checkpoint."""
        checkpoint["state_dict"] = {name: checkpoint["state_dict"][name] for name in self._learnt()}
        checkpoint["scores"] = list(self._scores)
        checkpoint["base"] = self._base()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another model."""
        if set(checkpoint["state_dict"]) != set(self._learnt()):
            raise ValueError("the checkpoint belongs to another model: resume with the run's own settings")
        if checkpoint.get("base", self._base()) != self._base():  # an older checkpoint does not say
            raise ValueError(
                "the training began with other weights of the backbone: say where those lie by backbone.weights=FILE"
            )
        self._scores = list(checkpoint.get("scores", ()))  # an older checkpoint has none

    def _base(self) -> str | None:
        """Return the hash of what is frozen under the adapters; None where every weight is in the checkpoint."""
        injection = injection_of(self.model)
        return None if injection is None else injection.base.values  # how it is built, the run's own settings say

    def _learnt(self) -> list[str]:
        parameters = dict(self.named_parameters())
        frozen = any(not parameter.requires_grad for parameter in parameters.values())
        names = list(self.state_dict())
        return [name for name in names if name in parameters and parameters[name].requires_grad] if frozen else names

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
        """Return the figure that steers.

        Raises:
            ValueError: It is undefined; `require_score` has refused that before for the whole of val.
        """
        value = found[SCORES[self.kind]]
        if value is None:
            raise ValueError(
                f"the validation images have no {SCORES[self.kind].replace('_', ' ')}, which steers the training: "
                "give val more of them, and leave out trainer.limit_val_batches"
            )
        return value


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def layers(model: nn.Module) -> tuple[Layer, ...]:
    """Return the adapted weights of `model`; none for a plain one."""
    injection = injection_of(model)
    return injection.layers if injection is not None else ()
