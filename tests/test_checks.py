"""Wrong input that the config alone shows is refused before a command's libraries are imported."""

import json
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from src.checks import require_settings
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
    "audit data.root=/nowhere": "/nowhere does not exist",
    "evaluate": "adapter is not given",
    "evaluate adapter=/nowhere": "there is no /nowhere",
    "evaluate adapter=. data=folder data.root=/nowhere": "/nowhere does not exist",
    "export adapter=/nowhere": "there is no /nowhere",
    "export adapter=. shared_base=maybe": "shared_base must be true or false",
    "predict": "model is not given",
    "predict model=.": "input is not given",
    "predict modle=x": "did you mean model?",
    "predict model=. input=. batch_size=x": "batch_size must be a whole number",
    "predict model=/nowhere input=.": "no bundle at /nowhere",
    "predict model=. input=/nowhere": "'/nowhere' is not there",
}
CODE = """
import contextlib, io, json, runpy, sys
told = {}
for line in json.loads(sys.argv[1]):
    verb, *words = line.split()
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
        assert code == 2 and len(errors.splitlines()) == 1 and message in errors, (line, errors)
    assert not set(HEAVY) & set(modules)


@pytest.mark.parametrize("source", ["*.png", "rtsp://camera/1", "/dev/video9", "  "])
def test_what_is_no_path_is_left_to_the_reader(source):
    numbers = {"batch_size": 1, "threads": 1, "retries": 0, "max_images": None, "watch": False, "idle": None}
    require_settings("predict", OmegaConf.create({"model": str(ROOT), "input": source, **numbers}))
