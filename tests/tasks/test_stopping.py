"""Early stopping waits for the learning rate to fall, in a real training."""

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader

from src.tasks import EarlyStopping, TrainerOptions, warmup_cosine

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")
STEPS = 4


class Scored(LightningModule):
    """Has a rate that rises and falls, and a score by epoch."""

    def __init__(self, score, scheduler):
        super().__init__()
        self.weight, self.score, self.scheduler = torch.nn.Parameter(torch.zeros(())), score, scheduler

    def training_step(self, batch, index):
        return (self.weight - batch.mean()) ** 2

    def validation_step(self, batch, index):
        self.log("val/score", float(self.score(self.current_epoch)), batch_size=1)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        steps = int(self.trainer.estimated_stepping_batches)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler(optimizer, total_steps=steps), "interval": "step"},
        }


def trained(score, tmp_path, scheduler=warmup_cosine, resume=None, epochs=20, **options):
    """Return how many epochs ran."""
    callback = EarlyStopping("val/score", mode="max", patience=2)
    options = TrainerOptions(epochs, accelerator="cpu", log_every_n_steps=1, enable_progress_bar=False, **options)
    trainer = options([callback], folder=tmp_path)
    batches = DataLoader(torch.arange(float(STEPS)), batch_size=1)
    trainer.fit(Scored(score, scheduler), batches, batches, ckpt_path=resume, weights_only=True)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    return trainer.current_epoch


def constant(optimizer, total_steps):
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


def test_patience_counts_from_where_the_rate_has_fallen_to_half(tmp_path):
    # Of 20 epochs the rate is at half of its peak after 11; the first that counts sets the mark, two are waited for.
    assert trained(lambda epoch: -epoch, tmp_path) == 13
    assert trained(lambda epoch: -epoch, tmp_path, check_val_every_n_epoch=2) == 16


def whole(optimizer, total_steps):
    return warmup_cosine(optimizer, 20 * STEPS)


def test_a_resumed_training_counts_on(tmp_path):
    assert trained(lambda epoch: -epoch, tmp_path, whole, max_steps=12 * STEPS) == 12
    assert trained(lambda epoch: -epoch, tmp_path, whole, resume=tmp_path / "last.ckpt") == 13


def test_a_score_that_still_rises_stops_nothing_and_a_fall_before_does_not_count(tmp_path):
    assert trained(lambda epoch: epoch, tmp_path) == 20
    assert trained(lambda epoch: abs(epoch - 9), tmp_path) == 20


def test_a_rate_that_never_falls_stops_nothing(tmp_path):
    assert trained(lambda epoch: 0, tmp_path, constant) == 20
