import pytest
import torch

from src.benchmarks.methods import METHODS
from src.benchmarks.trainee import CLASSES, Case, build

CASE = Case("test_resnet", "fp32", 2, 64)


def test_every_method_starts_from_the_same_weights_and_batch():
    trainees = [build(CASE, method) for method in ("full", "graft")]
    assert torch.equal(trainees[0].images, trainees[1].images) and trainees[0].images.shape == (2, 3, 64, 64)
    losses = [float(trainee.loss().detach()) for trainee in trainees if trainee.model.eval()]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_branch_that_starts_at_zero_is_alive():
    assert all(parameter.any() for parameter in build(CASE, "full").model.parameters())


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"floor", "peft"}))
def test_a_step_lowers_the_loss_of_its_batch(method):
    trainee = build(CASE, method)
    before = float(trainee.loss().detach())
    for _ in range(10):
        trainee.step()
    assert float(trainee.loss().detach()) < before and trainee.targets.max() < CLASSES


def test_bf16_is_autocast_and_the_loss_is_finite():
    trainee = build(Case("test_resnet", "bf16", 2, 64), "graft")
    assert trainee.loss().isfinite() and trainee.dtype == torch.bfloat16
