"""A training that was stopped or broken off: what it says, and that it goes on to the result of an unbroken one."""

import signal
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from safetensors.torch import load_file

from tests.conftest import TINY


class BreakOff(Callback):
    """Fail at the start of the second epoch, the first time."""

    def __init__(self, flag):
        self.flag = flag

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 1 and not Path(self.flag).exists():
            Path(self.flag).touch()
            raise RuntimeError("the power went off")


def test_a_resumed_training_equals_an_unbroken_one(plates, tmp_path, invoke):
    common = ["data=folder", f"data.root={plates}", *TINY, "trainer.max_epochs=3", "backbone.name=test_vit2"]
    broken, whole, flag = tmp_path / "broken", tmp_path / "whole", tmp_path / "flag"
    callback = ["+callbacks.off._target_=tests.test_stopped.BreakOff", f"+callbacks.off.flag={flag}"]
    with pytest.raises(RuntimeError, match="power"):
        invoke("train", *common, *callback, f"run_dir={broken}")
    assert not (broken / "adapter.safetensors").exists() and not (tmp_path / "latest").exists()
    (tmp_path / "latest").symlink_to("broken")
    assert invoke("train", f"resume={tmp_path / 'latest'}").code == 0
    assert (tmp_path / "latest").resolve() == broken
    assert invoke("train", *common, f"run_dir={whole}").code == 0
    ours, theirs = load_file(broken / "adapter.safetensors"), load_file(whole / "adapter.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    for run in (broken, whole):
        assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2
        assert len((run / "history.csv").read_text().splitlines()) == 1 + 3
    assert (broken / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    assert (tmp_path / "latest").resolve() == whole


class CtrlC(Callback):
    """Stop a training at the start of an epoch, as a user does."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("epoch", "message"), [(0, "no epoch was whole"), (1, "go on with python -m src.train 'resume=")]
)
def test_a_training_that_is_stopped_says_how_to_go_on(plates, tmp_path, invoke, caplog, epoch, message):
    callback = ("+callbacks.stop._target_=tests.test_stopped.CtrlC", f"+callbacks.stop.epoch={epoch}")
    before = signal.getsignal(signal.SIGINT)
    try:
        ended = invoke("train", "data=folder", f"data.root={plates}", *TINY, *callback, f"run_dir={tmp_path / 'a b'}")
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning leaves it ignored
    assert ended.code == 130 and message in caplog.text


def test_a_weighted_table_trains_and_resumes_to_the_same(invoke, plates, tmp_path):
    table, broken, whole, flag = (tmp_path / name for name in ("plates.csv", "broken", "whole", "flag"))
    paths = sorted(path.relative_to(plates) for path in plates.rglob("*.png"))
    lines = [f"{path},{path.parent},{1 + number % 3}" for number, path in enumerate(paths)]
    table.write_text("\n".join(["path,class,weight", *lines]))
    source = ("data=table", f"data.table={table}", f"data.root={plates}", "data.columns={label: class}")
    common = (*source, *TINY, "trainer.max_epochs=2", f"data.split_file={tmp_path / 'splits.csv'}")
    callback = ["+callbacks.off._target_=tests.test_stopped.BreakOff", f"+callbacks.off.flag={flag}"]
    with pytest.raises(RuntimeError, match="power"):
        invoke("train", *common, *callback, f"run_dir={broken}")
    kept = (tmp_path / "splits.csv").read_text()
    assert len(kept.splitlines()) == 1 + len(paths)  # from the first step on
    assert invoke("train", f"resume={broken}").code == 0
    assert invoke("train", *common, f"run_dir={whole}").code == 0
    assert (tmp_path / "splits.csv").read_text() == kept
    ours, theirs = (load_file(run / "adapter.safetensors") for run in (broken, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
