"""Early stopping waits for the learning rate to fall."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from src.tasks import EarlyStopping, warmup_cosine

STEPS = 4


def stopped_after(epochs, scores, scheduler=warmup_cosine, resume_at=None):
    """Return how many epochs ran."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=0.1)
    schedule = scheduler(optimizer, epochs * STEPS)
    callback = EarlyStopping("val/score", mode="max", patience=2)
    trainer = SimpleNamespace(
        optimizers=[optimizer],
        callback_metrics={},
        should_stop=False,
        state=SimpleNamespace(fn=TrainerFn.FITTING),
        sanity_checking=False,
        fast_dev_run=False,
        current_epoch=0,
        world_size=1,
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
    )
    for epoch in range(epochs):
        trainer.current_epoch = epoch
        for batch in range(STEPS):
            callback.on_train_batch_start(trainer, None, None, batch)
            optimizer.step()
            schedule.step()
        trainer.callback_metrics["val/score"] = torch.tensor(float(scores(epoch)))
        if epoch == resume_at:
            again = EarlyStopping("val/score", mode="max", patience=2)
            again.load_state_dict(callback.state_dict())
            callback = again
        callback.on_validation_end(trainer, None)
        if trainer.should_stop:
            return epoch + 1
    return epochs


def constant(optimizer, total_steps):
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


@pytest.mark.parametrize("resume_at", [None, 3, 12])
def test_patience_counts_from_where_the_rate_has_fallen_to_half(resume_at):
    # 20 epochs: the cosine is at half of its peak after 11; one epoch sets the mark, two are waited for.
    assert stopped_after(20, lambda epoch: -epoch, resume_at=resume_at) == 13


def test_a_score_that_still_rises_stops_nothing_and_a_fall_before_does_not_count():
    assert stopped_after(20, lambda epoch: epoch) == 20
    assert stopped_after(20, lambda epoch: abs(epoch - 9)) == 20


def test_a_rate_that_never_falls_stops_nothing():
    assert stopped_after(20, lambda epoch: 0, constant) == 20
