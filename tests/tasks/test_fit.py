import pytest
import torch

from src.tasks.fit import EpochCheckpoint, fit
from tests.tasks.test_classification import task


def test_a_checkpoints_paths_follow_a_moved_folder(tmp_path):
    before = EpochCheckpoint(tmp_path / "old", "best", monitor="val/score", mode="max")
    before.best_model_path = str(tmp_path / "old/best.ckpt")
    before.best_k_models = {before.best_model_path: torch.tensor(0.8)}
    after = EpochCheckpoint(tmp_path / "new", "best", monitor="val/score", mode="max")
    after.load_state_dict(before.state_dict())
    assert after.best_model_path == str(tmp_path / "new/best.ckpt")
    assert list(after.best_k_models) == [str(tmp_path / "new/best.ckpt")]


def test_nothing_to_resume_is_said_before_anything_is_built(tmp_path):
    with pytest.raises(ValueError, match=r"last\.ckpt is not there; give the run folder"):
        fit(task(), None, None, tmp_path, resume=True)
