from types import SimpleNamespace

import pytest
import torch

from src.tasks.base import START
from src.tasks.fit import _load_best, _run, fit
from src.tasks.progress import last_checkpoint
from tests.tasks.test_classification import pixels, task


def test_a_damaged_checkpoint_is_told_before_the_trainer_is_built(tmp_path):
    checkpoint = last_checkpoint(tmp_path)
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"PK\x03\x04 cut off")

    with pytest.raises(ValueError, match=r"last\.ckpt is damaged"):
        fit(task(), None, SimpleNamespace(max_epochs=1), tmp_path, resume=True)


def test_epochs_that_nobody_planned_are_none(tmp_path):
    with pytest.raises(ValueError, match=r"max_epochs=auto is still to be planned for the data"):
        fit(task(), None, SimpleNamespace(max_epochs="auto"), tmp_path)


def test_what_the_label_check_has_computed_for_the_training_is_time_of_the_training():
    built, trainer = task(), SimpleNamespace(fit=lambda *_, **__: None)
    assert built.seconds_ahead == 0 and _run(trainer, built, None, None) < 50
    built._frozen = SimpleNamespace(seconds=100.0)
    assert 100 <= _run(trainer, built, None, None) < 150


@pytest.mark.parametrize(("epoch", "shipped"), [(START, ("identity",)), (3, ("identity", "horizontal"))])
def test_the_head_alone_ships_as_it_was_scored_and_epochs_with_their_views(tmp_path, epoch, shipped):
    built, path = task(views=("identity", "horizontal")), tmp_path / "best.ckpt"
    built.eval()
    plain, both = built.model(built.images(pixels())), built(pixels())
    torch.save({"state_dict": built.state_dict()}, path)
    assert _load_best(built, SimpleNamespace(shipped=lambda: (path, epoch))) == epoch
    assert built.setting.task.views == shipped and not torch.equal(plain, both)
    assert torch.equal(built(pixels()), plain if epoch == START else both)
