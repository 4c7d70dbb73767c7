import torch

from src.tasks.latest_epoch import EpochCheckpoint


def test_a_checkpoints_paths_follow_a_moved_folder(tmp_path):
    before = EpochCheckpoint(tmp_path / "old", "last")
    before.best_model_path = str(tmp_path / "old/last.ckpt")
    before.best_k_models = {before.best_model_path: torch.tensor(0.8)}
    after = EpochCheckpoint(tmp_path / "new", "last")
    after.load_state_dict(before.state_dict())
    assert after.best_model_path == str(tmp_path / "new/last.ckpt")
    assert list(after.best_k_models) == [str(tmp_path / "new/last.ckpt")]
