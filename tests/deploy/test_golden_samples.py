import numpy as np
import pytest
from torch import nn

from src.deploy.golden_samples import KEPT, choose_golden
from src.deploy.graph import export_onnx
from src.deploy.stages import onnx_stage
from src.edge.preprocess import load
from src.edge.session import open_session, run_session
from src.spec import TaskSpec
from tests.deploy.nets import IMAGE, TASK, conv_net, saved


@pytest.mark.parametrize(("precision", "part"), [("fp32", 1e-3), ("int8", 0.05)])
def test_the_most_certain_picture_of_each_decision_is_kept(tmp_path, precision, part):
    paths = [path for path, _ in saved(tmp_path / "pictures", 16)]
    export_onnx(conv_net(), IMAGE, TASK, tmp_path / "model.onnx")
    model = (tmp_path / "model.onnx").read_bytes()
    golden = choose_golden(onnx_stage("file", model).run, paths, IMAGE, TASK, precision, "u8")
    inputs = np.stack([load(path, IMAGE) for path in paths])
    _, probabilities, decision = run_session(open_session(model, 1), inputs)
    kept = [max(np.flatnonzero(decision == index), key=lambda i: probabilities[i].max()) for index in set(decision)]
    assert 0 < len(kept) <= KEPT
    assert {item.tobytes() for item in golden.inputs} == {inputs[number].tobytes() for number in kept}
    assert golden.tolerance == part
    golden.check(run_session(open_session(model, 1), np.stack(golden.inputs)))


@pytest.mark.parametrize("kind", ["ordinal", "multilabel", "regression"])
def test_every_kind_of_task_tests_itself_by_decisions_far_from_others(tmp_path, kind):
    paths = [path for path, _ in saved(tmp_path / "pictures", 16)]
    task = TaskSpec(kind, ("value",), center=50, scale=9) if kind == "regression" else TaskSpec(kind, TASK.classes)
    net = nn.Sequential(conv_net(), nn.Linear(len(TASK.classes), len(task.classes))).eval()
    export_onnx(net, IMAGE, task, tmp_path / "model.onnx")
    model = (tmp_path / "model.onnx").read_bytes()
    golden = choose_golden(onnx_stage("file", model).run, paths, IMAGE, task, "fp32", "u8")
    found = run_session(open_session(model, 1), np.stack(golden.inputs))
    golden.check(found)
    moved = found[2] + (1 if kind == "regression" else np.int64(1))
    with pytest.raises(ValueError, match="golden outputs"):
        golden.check((*found[:2], moved))
