"""Wrong input that the config alone shows is refused before a command's libraries are imported."""

import json
import os
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from src.checks import _precisions, _require_key, require_settings
from src.choices import PROFILES
from src.deploy.precisions import PRECISIONS
from src.edge.profile import FITS
from tests.conftest import ROOT

HEAVY = ["torch", "timm", "lightning", "onnxruntime", "numpy", "PIL", "rich"]
CASES = {
    "train data.rot=x": "did you mean data.root?",
    "train data=foldr": "did you mean folder?",
    "train +experiment=defect": "did you mean defects?",
    "train +lora.rnk=3": "did you mean rank?",
    "train lora.rank=x": "lora.rank=x is not a whole number",
    "train optimizer.lr=x": "optimizer.lr=x is not a number",
    "train optimizer.lr=1e39": "out of range",
    "train data.on_error=maybe": "data.on_error=maybe is not auto, skip or stop",
    "train data.root=/nowhere": "/nowhere does not exist",
    "train resume=/nowhere": "no config.yaml there",
    "train data.root=. backbone.weights=/x.pth": "there is no file /x.pth",
    "train": "no images are given",
    "train data.root=' '": "no images are given",
    "train data=table": "no table is given",
    "train data=table data.table=nope.csv": "the table nope.csv does not exist",
    "train data=table data.table=README.md data.root=/nowhere": "/nowhere is no folder",
    "train data=huggingface": "no data set is given",
    "train data=huggingface data.path=' '": "no data set is given",
    "train data=huggingface data.path=x data.files_dir=null": "data.files_dir=null is not a path",
    "train data.root=. views=[upside]": "there is no view 'upside'",
    "train data.root=. trainer.max_epochs=many": "trainer.max_epochs=many is no number of epochs",
    "train data.root=. trainer.precision=int4": "trainer.precision=int4 is unknown",
    "train data.root=. run_dir=null": "run_dir=null names no folder",
    "audit data.root=. output=null": "output=null names no folder",
    "benchmark output=null": "output=null names no folder",
    "audit data.root=/nowhere": "/nowhere does not exist",
    "evaluate": "adapter is not given",
    "evaluate adapter=/nowhere": "there is no /nowhere",
    "evaluate adapter=. data=folder data.root=/nowhere": "/nowhere does not exist",
    "export adapter=/nowhere": "there is no /nowhere",
    "export adapter=. shared_base=maybe": "shared_base must be true or false",
    "export adapter=. precision=int9": "unknown precision 'int9': use precision=fp32, fp16, int8",
    "export adapter=. profile=x": "unknown profile 'x': choose one of u8, u8-resize, u8-matmul, float",
    "export adapter=. sign=/nope.pem": "/nope.pem cannot be read (No such file or directory): give the private key",
    "export adapters=[/nope] shared_base=true": "there is no /nope",
    "export adapters={a:.,b:/nope} shared_base=true": "there is no /nope",
    "export adapter=. views=[upside]": "there is no view 'upside'",
    "evaluate adapter=. views=identity": "views=identity is no list of views",
    "predict": "model is not given",
    "predict model=.": "input is not given",
    "predict modle=x": "did you mean model?",
    "predict model=. input=. batch_size=x": "batch_size must be a whole number",
    "predict model=/nowhere input=.": "no bundle at /nowhere",
    "predict model=. input=. verify=/nope": "/nope cannot be read (No such file or directory): give the public key",
    "predict model=. input=/nowhere": "'/nowhere' is not there",
}
CODE = """
import contextlib, io, json, runpy, shlex, sys
told = {}
for line in json.loads(sys.argv[1]):
    verb, *words = shlex.split(line)
    sys.argv[:] = [verb, *words]
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            runpy.run_module(f"src.{verb}", run_name="__main__")
        except SystemExit as end:
            told[line] = [end.code, errors.getvalue()]
print(json.dumps([told, sorted(sys.modules)]))
"""


def test_it_is_refused_in_one_line_and_nothing_heavy_is_imported():
    command = [sys.executable, "-c", CODE, json.dumps(list(CASES))]
    told, modules = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    for line, message in CASES.items():
        code, errors = told[line]
        lines = 3 if message == "no images are given" else 1
        assert code == 2 and len(errors.splitlines()) == lines and message in errors, (line, errors)
    assert not set(HEAVY) & set(modules)


@pytest.mark.parametrize("source", ["*.png", "rtsp://camera/1", "/dev/video9", "  "])
def test_what_is_no_path_is_left_to_the_reader(source):
    numbers = {
        "batch_size": 1,
        "threads": 1,
        "retries": 0,
        "max_images": None,
        "verify": None,
        "watch": False,
        "idle": None,
    }
    require_settings("predict", OmegaConf.create({"model": str(ROOT), "input": source, "verify": None, **numbers}))


def test_a_key_that_comes_through_a_pipe_is_left_for_its_reader(tmp_path):
    pipe = tmp_path / "key"
    os.mkfifo(pipe)
    _require_key(OmegaConf.create({"sign": str(pipe)}), "sign", "private")


def test_the_precisions_that_are_known_unimported_are_those_of_the_exports():
    assert sorted(_precisions()) == sorted(PRECISIONS)
    assert tuple(FITS) == PROFILES


def test_a_missing_extra_is_told_before_wrong_settings(monkeypatch, invoke):
    monkeypatch.setattr("src.command.find_spec", lambda name: None)
    for verb in ("audit", "evaluate", "export", "train"):
        ended = invoke(verb)
        assert ended.code == 2 and ended.err.endswith('torch is not installed: pip install -e ".[train]"\n')
