import numpy as np
import pytest

from src.deploy.graph import export_onnx
from src.deploy.self_test import KEPT, choose_golden
from src.edge.preprocess import load
from src.edge.runtime import open_session, run_session
from tests.deploy.nets import IMAGE, TASK, conv_net, saved


@pytest.mark.parametrize(("precision", "part"), [("fp32", 1e-3), ("int8", 0.05)])
def test_the_most_certain_picture_of_each_decision_is_kept(tmp_path, precision, part):
    paths = [path for path, _ in saved(tmp_path / "pictures", 16)]
    export_onnx(conv_net(), IMAGE, TASK, tmp_path / "model.onnx")
    model = (tmp_path / "model.onnx").read_bytes()
    golden = choose_golden(model, paths, IMAGE, precision, "u8")
    inputs = np.stack([load(path, IMAGE) for path in paths])
    logits, probabilities, decision = run_session(open_session(model, 1), inputs)
    kept = [max(np.flatnonzero(decision == index), key=lambda i: probabilities[i].max()) for index in set(decision)]
    assert 0 < len(kept) <= KEPT
    assert {item.tobytes() for item in golden.inputs} == {inputs[number].tobytes() for number in kept}
    assert golden.tolerance == pytest.approx(part * max(1, np.abs(logits).max()), rel=1e-5)
    golden.check(run_session(open_session(model, 1), np.stack(golden.inputs)))
