import json
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from src.deploy import openvino
from src.deploy.graph import ExportOptions, export_onnx
from src.deploy.limits import Budget
from src.deploy.openvino import openvino_stage, require_openvino
from src.deploy.shipping import ship
from src.deploy.stages import onnx_stage, run_stages
from src.deploy.trial import Candidate
from src.spec import TaskSpec
from tests.deploy.nets import IMAGE, TASK, attention_net, conv_net, plain, saved


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("pictures"), 20)


@pytest.mark.parametrize("build", [conv_net, attention_net])
@pytest.mark.parametrize("profile", ["u8", "u8-matmul", "float"])
def test_the_same_file_gives_the_same_outputs(tmp_path, samples, profile, build):
    export_onnx(build(), IMAGE, TASK, tmp_path / "model.onnx", ExportOptions(profile, taken=(36, 40)))
    model = (tmp_path / "model.onnx").read_bytes()
    stages = [onnx_stage("fp32", model, profile), openvino_stage(model, profile)]
    expected, found = run_stages(stages, [path for path, _ in samples], IMAGE)
    assert np.abs(found[0] - expected[0]).max() <= 1e-4 * np.abs(expected[0]).max()
    assert np.array_equal(found[2], expected[2]) and found[1].shape == expected[1].shape


def test_a_value_has_no_probabilities(tmp_path, samples):
    task = TaskSpec("regression", ("sugar",), center=2.0, scale=3.0)
    net = nn.Sequential(conv_net(), nn.Linear(2, 1)).eval()
    export_onnx(net, IMAGE, task, tmp_path / "model.onnx")
    stage = openvino_stage((tmp_path / "model.onnx").read_bytes(), "u8")
    ((logits, probabilities, value),) = run_stages([stage], [path for path, _ in samples], IMAGE)
    assert probabilities.shape == (20, 0) and np.allclose(value, 2 + 3 * logits[:, 0], atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_it_is_one_more_stage_of_the_gate(tmp_path, samples, precision):
    paths = [path for path, _ in samples]
    candidate = Candidate(conv_net, TASK, {"val": samples, "test": samples[:6]}, merge=plain, calibration=paths)
    free = Budget(max_accuracy_drop=0.9, min_speedup=0, max_accuracy_drop_bound=1.0)
    verdict = ship(candidate, IMAGE, tmp_path, precision, budget=free, openvino=True)
    assert verdict.passed and verdict.parity.stage == precision
    written = json.loads((tmp_path / "edge" / "parity.json").read_text())
    for stages in (written["stages"], written["also"]["test"]["stages"]):
        names = [row["stage"] for row in stages]
        assert names[-2:] == [precision, "openvino"] and names.count(precision) == 1
    assert written["stage"] == precision == written["also"]["test"]["stage"]


def test_a_runtime_that_decides_otherwise_keeps_the_file_back(tmp_path, samples, monkeypatch):
    def other(model, profile, views):
        stage = onnx_stage("openvino", model, profile, views)
        return replace(stage, run=lambda pixels: (stage.run(pixels)[0] + 1, *stage.run(pixels)[1:]))

    monkeypatch.setattr("src.deploy.shipping.openvino_stage", other)
    candidate = Candidate(conv_net, TASK, {"val": samples}, merge=plain)
    verdict = ship(candidate, IMAGE, tmp_path, openvino=True)
    assert not verdict.passed and verdict.reasons()[0].startswith("openvino: max |d logit|")
    assert not (tmp_path / "edge").exists()


def test_what_it_cannot_do_is_said_before_any_work(monkeypatch):
    with pytest.raises(ValueError, match="antialiasing of profile=u8-resize"):
        require_openvino("u8-resize")

    def gone(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(openvino.importlib, "import_module", gone)
    with pytest.raises(ValueError, match=r'pip install -e "\.\[openvino\]"'):
        require_openvino("u8")


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="OpenVINO cannot load the model"):
        openvino_stage(b"nothing", "u8")
