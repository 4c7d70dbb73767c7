import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.errors import HydraException, InstantiationException
from omegaconf import OmegaConf

from src.command import PromiseError, one_line, requires, run, versions
from src.errors import LinesError

CONFIG = "predict"


@pytest.fixture(autouse=True)
def typed(monkeypatch):
    """Type a whole command line."""
    monkeypatch.setattr(sys, "argv", ["src/predict.py", "model=m", "input=i"])


def as_command(main, sweeps=False):
    """Run `main` as the body of a command, whatever its settings name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.command.require_settings", lambda verb, config: None)
        patch.setattr("src.command.import_module", lambda name: SimpleNamespace(main=main))
        run(CONFIG, sweeps)


def ended(main, sweeps=False):
    with pytest.raises(SystemExit) as end:
        as_command(main, sweeps)
    return end.value.code


def failing(error):
    def main(config):
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (PromiseError("the gate refused it"), 1, "error: the gate refused it"),
        (ValueError("two\n  lines"), 2, "error: two lines"),
        (FileNotFoundError(2, "No such file", "x"), 2, "error: [Errno 2] No such file: 'x'"),
    ],
)
def test_errors_end_in_one_line_and_their_code(error, code, line, capsys):
    assert ended(failing(error)) == code
    assert capsys.readouterr().err.splitlines()[-1] == line


def test_an_error_of_several_lines_keeps_them_on_a_command_and_not_in_a_table(capsys):
    outer = InstantiationException("Error in call to target")
    outer.__cause__ = LinesError("first\nsecond")
    assert ended(failing(outer)) == 2
    assert capsys.readouterr().err.splitlines()[-2:] == ["error: first", "second"]
    assert one_line(outer) == "first second"


def test_a_stop_by_hand_is_no_error():
    assert ended(failing(KeyboardInterrupt())) == 130


def test_a_defect_of_our_own_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="a defect"):
        as_command(failing(RuntimeError("a defect")))


def test_debug_shows_every_traceback(monkeypatch):
    monkeypatch.setenv("GRAFT_DEBUG", "1")
    with pytest.raises(ValueError, match="wrong"):
        as_command(failing(ValueError("wrong")))


@pytest.mark.parametrize("value", ["a=b", "é/ü", "it's", "back\\", "a,b", "${x}", "[1]", "'quoted'", "null"])
def test_paths_reach_the_command_as_typed(value, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["src/predict.py", "model=m", f"input={value}"])
    assert ended(lambda config: seen.append(OmegaConf.to_container(config)["input"])) == 0
    assert seen == [{"null": None, "'quoted'": "quoted"}.get(value, value)]


def test_the_innermost_error_is_told():
    outer = InstantiationException("Error in call to target")
    outer.__cause__ = ValueError("lora.rank must be 1 or more")
    assert one_line(outer) == "lora.rank must be 1 or more"
    assert one_line(HydraException()) == "HydraException"


def test_a_missing_value_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["src/predict.py", "model=m"])
    assert ended(lambda config: Path(config.input)) == 2
    assert "input is not given: add input=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["${x}", "a${", "${x:1}", "${oc.env:GRAFT_NOWHERE}"])
def test_what_stands_for_another_setting_is_told(value, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["src/predict.py", "model=m", f"input={value}"])
    assert ended(lambda config: Path(config.input)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: input: ") and "${...} stands for another setting, in a path too" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "i"], "there is no flag --input: a setting has no dashes, write input=i"),
        (["-m"], "predict goes over one value of each setting: leave out -m"),
        (["+foo=1"], "there is no foo in conf/predict.yaml and its groups"),
        (["++inptu=1"], "there is no inptu in conf/predict.yaml and its groups: did you mean input?"),
    ],
)
def test_what_would_not_be_heeded_is_refused(words, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["src/predict.py", "model=m", *words])
    assert ended(lambda config: None) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and not list(tmp_path.iterdir())


def test_a_missing_extra_is_named_and_our_own_fault_is_not_hidden(capsys):
    with pytest.raises(SystemExit) as end, requires("train"):
        import no_such_library  # noqa: F401
    assert end.value.code == 2 and 'pip install -e ".[train]"' in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError), requires("train"):
        import src.no_such_module  # noqa: F401


def test_versions_name_what_is_installed():
    assert {"graft-vision", "torch", "timm", "onnxruntime"} <= set(versions())


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_a_sweep_may_be_asked_for_behind_the_overrides(flag, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["src/predict.py", "model=m", flag, "input=i", f"hydra.sweep.dir={tmp_path}"])
    ended(lambda config: None, sweeps=True)
    assert sys.argv[1:4] == [flag, "model='m'", "input='i'"]
