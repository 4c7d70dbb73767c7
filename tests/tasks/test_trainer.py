"""Which options of Lightning's trainer are taken, and what becomes of each."""

import inspect
from dataclasses import fields

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, RichProgressBar
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from src.tasks import TrainerOptions
from src.tasks.fit import require_monitored
from src.typed import require_types

OURS = {"max_epochs": 1, "accelerator": "cpu"}


@pytest.fixture(autouse=True)
def plain():
    """Leave torch as it was: an option may ask for deterministic operations."""
    yield
    torch.use_deterministic_algorithms(False)


class Counting(LightningModule):
    """Count steps and validations."""

    def __init__(self):
        super().__init__()
        self.weight, self.validated = torch.nn.Parameter(torch.zeros(())), []

    def training_step(self, batch, index):
        return (self.weight - batch.mean()) ** 2

    def validation_step(self, batch, index):
        pass

    def on_validation_epoch_end(self):
        if not self.trainer.sanity_checking:
            self.validated.append(self.trainer.global_step)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*logging interval", "ignore:.*LeafSpec")
@pytest.mark.parametrize(
    ("options", "steps", "validated"),
    [
        ({}, 4, [4]),
        ({"max_epochs": -1, "max_steps": 2}, 2, [2]),
        ({"max_epochs": None, "max_steps": 6}, 6, [4, 6]),
        ({"max_epochs": 3, "max_steps": 5}, 5, [4, 5]),
        ({"max_epochs": 4, "check_val_every_n_epoch": 2}, 16, [8, 16]),
        ({"limit_train_batches": 3}, 3, [3]),
        ({"limit_train_batches": 0.5, "limit_val_batches": 0.5}, 2, [2]),
        ({"accumulate_grad_batches": 3}, 2, [2]),
        ({"accumulate_grad_batches": 10**9}, 1, [1]),
        ({"fast_dev_run": True, "max_epochs": 5, "max_steps": 9, "check_val_every_n_epoch": 2}, 1, [1]),
        ({"fast_dev_run": 2}, 2, [2]),
        ({"num_sanity_val_steps": 1, "devices": "auto", "deterministic": "warn"}, 4, [4]),
    ],
)
def test_each_option_does_what_it_says(options, steps, validated, tmp_path):
    module, loader = Counting(), DataLoader(torch.ones(4, 1))
    silent = {"enable_progress_bar": False, **OURS, **options}
    trainer = TrainerOptions(**silent)([RichProgressBar()], folder=tmp_path)
    trainer.fit(module, loader, loader)
    assert (trainer.global_step, module.validated) == (steps, validated)
    assert not trainer.progress_bar_callback


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_epochs": None}, "has no end"),
        ({"max_epochs": -1}, "has no end"),
        ({"max_epochs": 0}, "is no number of epochs"),
        ({"max_steps": 0}, "is no number of steps"),
        ({"check_val_every_n_epoch": 2}, "never comes in 1 epochs"),
        ({"check_val_every_n_epoch": 0}, "must be 1 or more"),
        ({"limit_val_batches": 0}, "leaves no batch"),
        ({"limit_train_batches": 0.0}, "leaves no batch"),
        ({"limit_train_batches": 1.5}, "trainer: You have passed invalid value 1.5"),
        ({"accumulate_grad_batches": 0}, "must be 1 or more"),
        ({"gradient_clip_val": -1}, "must be 0 or more"),
        ({"gradient_clip_val": 1.0, "gradient_clip_algorithm": "x"}, "trainer: `gradient_clip_algorithm` x is invalid"),
        ({"fast_dev_run": -1}, "must be 0 or more"),
        ({"max_time": "soon"}, "DD:HH:MM:SS"),
        ({"max_time": 3}, "DD:HH:MM:SS"),
        ({"deterministic": "maybe"}, "must be true, false or warn"),
        ({"accelerator": "nonsense"}, "invalid accelerator name"),
        ({"accelerator": "mps"}, "can not run on your system"),
        ({"precision": "int4"}, "precision=int4 is unknown"),
        ({"devices": 2}, "trainer.devices=2 are several, and a training runs on one"),
        ({"devices": "3"}, "are several"),
        ({"devices": 10**18}, "are several"),
        ({"devices": [0, 1]}, "devices"),
        ({"devices": 0}, "devices"),
        ({"devices": -1}, "devices"),
    ],
)
def test_the_rest_is_refused_in_words(options, message):
    with pytest.raises(ValueError, match=message):
        TrainerOptions(**{**OURS, **options})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"No supported gpu backend found; trainer\.accelerator=gpu: leave it out"):
        TrainerOptions(max_epochs=1, accelerator="gpu")


def test_what_is_not_on_the_list_is_refused_and_what_is_on_it_is_lightnings():
    taken = {field.name for field in fields(TrainerOptions)}
    lightnings = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    assert taken <= lightnings
    for name in sorted({"max_epoch", *lightnings} - taken):
        node = {"_target_": "src.tasks.TrainerOptions", name: None}
        with pytest.raises(
            ValueError, match=rf"there is no trainer\.{name} \((did you mean|trainer takes accelerator,)"
        ):
            require_types(OmegaConf.create({"trainer": node}))


def test_a_callback_that_waits_for_no_figure_is_refused():
    require_monitored([EarlyStopping("val/auroc"), EarlyStopping("train/loss"), Callback()])
    with pytest.raises(ValueError, match=r"no epoch has val/los \(did you mean val/loss\?\)"):
        require_monitored([EarlyStopping("val/los")])
