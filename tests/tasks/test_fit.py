import pytest
import torch

from src.tasks.fit import EpochCheckpoint, fit
from src.tasks.progress import last_checkpoint
from tests.tasks.test_classification import task


def test_a_checkpoints_paths_follow_a_moved_folder(tmp_path):
    before = EpochCheckpoint(tmp_path / "old", "best", monitor="val/score", mode="max")
    before.best_model_path = str(tmp_path / "old/best.ckpt")
    before.best_k_models = {before.best_model_path: torch.tensor(0.8)}
    after = EpochCheckpoint(tmp_path / "new", "best", monitor="val/score", mode="max")
    after.load_state_dict(before.state_dict())
    assert after.best_model_path == str(tmp_path / "new/best.ckpt")
    assert list(after.best_k_models) == [str(tmp_path / "new/best.ckpt")]


def test_a_damaged_checkpoint_is_told_before_the_trainer_is_built(tmp_path):
    checkpoint = last_checkpoint(tmp_path)
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"PK\x03\x04 cut off")

    def trainer(*_):
        raise AssertionError("it was built")

    with pytest.raises(ValueError, match=r"last\.ckpt is damaged"):
        fit(task(), None, trainer, tmp_path, resume=True)
