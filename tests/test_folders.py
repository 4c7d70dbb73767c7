"""Where commands write; that two trainings never share a folder is in test_stopped and tasks/test_run_folder."""

import pytest
from omegaconf import OmegaConf

from src.folders import SweepFolder, claim_sweep, output_folder


def multirun(folder, *overrides):
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}, "overrides": {"hydra": list(overrides)}}})
    OmegaConf.set_readonly(config, True)
    SweepFolder().on_multirun_start(config)
    return config.hydra


def test_two_multiruns_of_one_second_have_a_folder_each(tmp_path):
    first, second = (multirun(tmp_path / "now") for _ in range(2))
    assert [hydra.sweep.dir for hydra in (first, second)] == [str(tmp_path / "now"), str(tmp_path / "now-2")]
    assert second.overrides.hydra == [f"hydra.sweep.dir={tmp_path / 'now-2'}"]  # what every run is composed by


def test_a_folder_that_was_named_holds_one_multirun(tmp_path, capsys):
    asked = f"hydra.sweep.dir={tmp_path}"
    assert multirun(tmp_path, asked).overrides.hydra == [asked]
    with pytest.raises(SystemExit) as ended:
        multirun(tmp_path, asked)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {tmp_path} holds a multirun already: choose another hydra.sweep.dir\n"
    (tmp_path / "old" / "0").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds a multirun already"):
        claim_sweep(tmp_path / "old")


def test_a_folder_that_was_named_is_taken_as_it_is(tmp_path, monkeypatch):
    for named, names in ((True, ["out", "out"]), (False, ["out-2", "out-3"])):
        monkeypatch.setattr("src.folders.is_named", lambda key, named=named: named)
        assert [output_folder("output", tmp_path / "out").name for _ in range(2)] == names
