import pytest
import torch
from lightning.pytorch.plugins import Precision

from src.tasks import choose_precision
from src.tasks.precision import StepAutocast


def test_auto_is_bf16_exactly_where_the_processor_multiplies_it(monkeypatch):
    for native, expected in ((True, StepAutocast), (False, Precision)):
        monkeypatch.setattr("src.tasks.precision.cpu_has_bf16", lambda native=native: native)
        assert type(choose_precision("auto", "cpu")) is expected


@pytest.mark.parametrize("name", ["32", 32, "32-true"])
def test_full_precision(name):
    assert type(choose_precision(name, "cpu")) is Precision


def test_autocast_is_for_steps_only():
    plugin = choose_precision("bf16", "cpu")
    weight, x = torch.randn(4, 4), torch.randn(2, 4)
    with plugin.train_step_context():
        assert (x @ weight).dtype == torch.bfloat16
    for context in (plugin.val_step_context, plugin.test_step_context, plugin.predict_step_context):
        with context():
            assert (x @ weight).dtype == torch.float32


def test_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="choose one of auto, 32, bf16, fp16"):
        choose_precision("int8", "cpu")
    with pytest.raises(ValueError, match="needs a GPU"):
        choose_precision("fp16", "cpu")


@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_are_clipped_for_a_fused_optimiser_as_for_another(scaled):
    ends = []
    for fused in (False, True):
        plugin = StepAutocast("bf16-mixed", "cpu")
        plugin.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0) if scaled else None
        weight = torch.nn.Parameter(torch.tensor([3.0, -4.0]))
        optimizer = torch.optim.AdamW([weight], lr=0.1, eps=1.0, fused=fused)  # a large eps shows the gradient's size
        loss = (weight**2).sum()
        (plugin.scaler.scale(loss) if scaled else loss).backward()
        if scaled and not fused:
            plugin.scaler.unscale_(optimizer)  # as Lightning does before it clips
        plugin.clip_gradients(optimizer, 1.0)
        assert weight.grad.norm() == pytest.approx(1.0, rel=1e-4)
        plugin.scaler.step(optimizer) if scaled else optimizer.step()
        ends.append(weight.detach().clone())
    assert torch.allclose(*ends, atol=1e-6) and not torch.equal(ends[0], torch.tensor([3.0, -4.0]))
