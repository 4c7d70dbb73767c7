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
