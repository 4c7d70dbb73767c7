"""A training that was stopped or broken off: what it says, and that it goes on to the result of an unbroken one."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from omegaconf import OmegaConf
from safetensors.torch import load_file

from src.training.resume import resume_settings
from tests.conftest import ROOT, TINY


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
        assert len((run / "history.csv").read_text().splitlines()) == 2 + 3
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


@pytest.mark.slow
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


def test_a_training_that_stopped_early_stays_so_until_it_is_told_to_go_on(plates, tmp_path, invoke):
    run = tmp_path / "run"
    still = (
        "optimizer.lr=0",
        "optimizer.weight_decay=0",
        "task.warm_start=false",
        "callbacks.early_stopping.patience=1",
    )
    common = ("data=folder", f"data.root={plates}", *TINY, *still, "trainer.max_epochs=4")
    assert invoke("train", *common, f"run_dir={run}").code == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    ended = invoke("train", f"resume={run}", "trainer.max_epochs=5")
    assert ended.code == 2 and "stopped early after 2 epochs" in ended.err, ended.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    (run / "report.html").unlink()  # as a kill would leave it
    assert invoke("train", f"resume={run}").code == 0
    assert (run / "report.html").exists() and len((run / "history.csv").read_text().splitlines()) == 1 + 2
    assert invoke("train", f"resume={run}", "~callbacks.early_stopping", "trainer.max_epochs=3").code == 0
    assert len((run / "history.csv").read_text().splitlines()) == 1 + 3


@pytest.mark.parametrize("given", ["runs/first", "runs/latest", "./runs/../runs/first/"])
def test_a_resumed_run_is_named_as_it_began(tmp_path, monkeypatch, given):
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "latest").symlink_to("first")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^resume=runs/first: no config"):
        resume_settings(OmegaConf.create({"resume": given}), [])


def start(*words: str, **options: Any) -> subprocess.Popen[str]:
    """Start a training as a user does."""
    return subprocess.Popen(
        [sys.executable, "-m", "src.train", *words], cwd=ROOT, text=True, stdout=subprocess.DEVNULL, **options
    )


@pytest.mark.slow
def test_a_training_that_is_killed_in_its_first_epoch_is_begun_anew_or_resumed(plates, tmp_path, invoke):
    common = ("data=folder", f"data.root={plates}", *TINY, "trainer.max_epochs=1")
    hold = ("+callbacks.off._target_=tests.test_stopped.Hang", f"+callbacks.off.flag={tmp_path / 'flag'}")
    killed = start(*common, *hold, f"run_dir={tmp_path / 'killed'}")
    wait_for(tmp_path / "flag", killed)
    ended = invoke("train", *common, f"run_dir={tmp_path / 'killed'}")
    assert ended.code == 2 and "another training is running in" in ended.err, ended.err
    killed.kill()
    killed.wait()
    shutil.copytree(tmp_path / "killed", tmp_path / "resumed")
    for folder, words in (("killed", common), ("whole", common), ("resumed", ())):
        named = f"resume={tmp_path / folder}" if folder == "resumed" else f"run_dir={tmp_path / folder}"
        assert invoke("train", *words, named).code == 0
    adapters = [load_file(tmp_path / folder / "adapter.safetensors") for folder in ("killed", "whole", "resumed")]
    assert all(torch.equal(each[name], value) for each in adapters for name, value in adapters[0].items())


@pytest.mark.slow
def test_of_two_trainings_in_one_folder_the_second_is_refused_before_it_trains(plates, tmp_path):
    common = ("data=folder", f"data.root={plates}", *TINY, "trainer.max_epochs=1", f"run_dir={tmp_path / 'run'}")
    both = [start(*common, f"seed={seed}", stderr=subprocess.PIPE) for seed in (1, 2)]
    told = [each.communicate()[1] for each in both]
    codes = [each.returncode for each in both]
    assert sorted(codes) == [0, 2], told
    last = told[codes.index(2)].splitlines()[-1]
    assert last.startswith("error: ") and ("another training is running" in last or "holds a run already" in last)
    seed = OmegaConf.load(tmp_path / "run" / "config.yaml").seed
    assert seed == 1 + codes.index(0) and (tmp_path / "run" / "report.html").exists()


class Hang(Callback):
    """Stay in the first epoch."""

    def __init__(self, flag: str) -> None:
        self.flag = flag

    def on_train_batch_end(self, *_: Any) -> None:
        if not Path(self.flag).exists():
            Path(self.flag).touch()
            time.sleep(600)


def wait_for(flag: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not flag.exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
