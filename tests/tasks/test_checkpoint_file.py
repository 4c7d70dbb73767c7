import pytest
import torch

from src.atomic import WriteError
from src.tasks import TrainerOptions
from src.tasks.checkpoint_file import WholeCheckpoints
from tests.test_atomic import files_up_to


def test_a_checkpoint_is_written_whole_or_named_with_a_way_out(tmp_path):
    path, io = tmp_path / "checkpoints" / "last.ckpt", WholeCheckpoints()
    io.save_checkpoint({"epoch": 1, "state": torch.ones(9)}, str(path))
    before = path.read_bytes()
    with files_up_to(4096), pytest.raises(WriteError, match=r"last\.ckpt cannot be written .*: files may not be so"):
        io.save_checkpoint({"epoch": 2, "state": torch.ones(9999)}, path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
    assert torch.load(path, weights_only=True)["epoch"] == 1


def test_every_trainer_writes_them_so(tmp_path):
    trainer = TrainerOptions(max_epochs=1, accelerator="cpu")(folder=tmp_path)
    assert isinstance(trainer.strategy.checkpoint_io, WholeCheckpoints)
