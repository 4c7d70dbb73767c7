"""The base install alone, in a virtual environment of its own, is what the camera needs."""

import json
import subprocess
import sys
import venv

import pytest
import torch
from PIL import Image
from torch import nn

from src.deploy import Candidate, ship
from src.spec import ImageSpec, TaskSpec
from tests.conftest import ROOT


@pytest.mark.slow
def test_predict_runs_on_the_base_install(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    Image.new("RGB", (9, 9), "orange").save(run / "a.png")
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 2)).eval()
    with torch.no_grad():
        model[1].bias += torch.tensor([9.0, 0.0])
    image = ImageSpec((8, 6), (0.5,) * 3, (0.25,) * 3, "bilinear", 1.0, "squash")
    task = TaskSpec("classification", ("bad", "good"), "bad")
    assert ship(Candidate(model, model, image, task), {"val": [(run / "a.png", "bad")]}, run, "fp32", {}).passed
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True)
    names = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert names >= {"numpy", "pillow", "onnxruntime", "hydra-core"} and not names & {"torch", "timm", "onnx", "av"}
    words = [python, "-m", "src.predict", f"model={run}", f"input={run / 'a.png'}"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["label"] == "bad"
