from types import SimpleNamespace

import pytest

from src.tasks.fit import fit
from src.tasks.progress import last_checkpoint
from tests.tasks.test_classification import task


def test_a_damaged_checkpoint_is_told_before_the_trainer_is_built(tmp_path):
    checkpoint = last_checkpoint(tmp_path)
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"PK\x03\x04 cut off")

    with pytest.raises(ValueError, match=r"last\.ckpt is damaged"):
        fit(task(), None, SimpleNamespace(max_epochs=1), tmp_path, resume=True)


def test_epochs_that_nobody_planned_are_none(tmp_path):
    with pytest.raises(ValueError, match=r"max_epochs=auto is still to be planned for the data"):
        fit(task(), None, SimpleNamespace(max_epochs="auto"), tmp_path)
