"""The oldest onnxruntime that is supported runs what is exported today, in an environment of its own."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from src.backbones import create_backbone
from src.deploy import Candidate, ship
from src.deploy.limits import Budget
from src.edge import Runtime, load
from tests.deploy.nets import TASK, plain, saved

OLDEST = ("onnxruntime==1.16.*", "numpy<2", "pillow")
ROOT = Path(__file__).parents[2]
FREE = Budget(max_accuracy_drop=0.99, min_speedup=0, max_accuracy_drop_bound=1.0)
CODE = """
import json, sys
import onnxruntime
from src.edge import Runtime
assert onnxruntime.__version__.startswith("1.16."), onnxruntime.__version__
runtime = Runtime(sys.argv[1])
logits, probabilities, decision = runtime.run([runtime.load(path) for path in sys.argv[2:]])
print(json.dumps([logits.tolist(), probabilities.tolist(), decision.tolist()]))
"""


@pytest.fixture(scope="module")
def oldest(tmp_path_factory):
    """Return the Python of an environment with the oldest onnxruntime."""
    if sys.version_info >= (3, 12):
        pytest.skip("onnxruntime 1.16 has no wheel above Python 3.11")
    folder = tmp_path_factory.mktemp("oldest")
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "-q", *OLDEST], capture_output=True, text=True, check=False
    )
    if "Could not find a version" in installed.stderr or "Connection" in installed.stderr:
        pytest.skip(f"no package index holds it: {installed.stderr.strip().splitlines()[-1]}")
    assert installed.returncode == 0, installed.stderr
    return python


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_it_decides_as_todays_does(oldest, tmp_path, name, precision):
    model, image = create_backbone(name, weights="none", num_classes=2)
    model.eval().get_classifier().weight.data.mul_(30)  # decisions that no rounding turns
    samples = saved(tmp_path / "pictures", 24)
    paths = [path for path, _ in samples]
    candidate = Candidate(lambda: model, TASK, {"val": samples}, merge=plain, calibration=paths)
    verdict = ship(candidate, image, tmp_path, precision, budget=FREE)
    assert verdict.passed, verdict.reasons()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [oldest, "-c", CODE, tmp_path, *paths], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found = [np.array(each) for each in json.loads(ended.stdout)]
    expected = Runtime(tmp_path).run([load(path, image) for path in paths])
    near = {"fp32": 1e-4, "int8": 0.05}[precision] * np.abs(expected[0]).max()
    assert np.abs(found[0] - expected[0]).max() <= near
    margin = np.abs(np.diff(expected[0], axis=1))[:, 0]
    assert np.array_equal(found[2][margin > 2 * near], expected[2][margin > 2 * near]) and (margin > 2 * near).any()
