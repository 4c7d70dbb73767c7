import numpy as np
import onnx
import pytest
from onnx import TensorProto

from src.deploy.graph import export_onnx
from src.deploy.model_file import write_model
from src.deploy.precisions.fp16 import to_fp16
from src.edge.manifest import SOLE
from src.edge.session import open_session, read_specs, run_session
from tests.deploy.nets import IMAGE, TASK, attention_net, conv_net, pixels


@pytest.fixture(params=[conv_net, attention_net])
def files(request, tmp_path):
    export_onnx(request.param(), IMAGE, TASK, tmp_path / "fp32.onnx")
    write_model(to_fp16(onnx.load(tmp_path / "fp32.onnx")), tmp_path / "fp16.onnx")
    return tmp_path / "fp32.onnx", tmp_path / "fp16.onnx"


def test_logits_stay_within_half_precision(files):
    expected, found = (run_session(open_session(path.read_bytes(), 1), pixels(6)) for path in files)
    difference = np.abs(found[0] - expected[0]).max()
    assert 0 < difference <= 5e-3 * np.abs(expected[0]).max() and found[0].dtype == np.float32
    np.testing.assert_allclose(found[1], expected[1], atol=2e-3)
    np.testing.assert_array_equal(found[2], found[0].argmax(axis=1))


def test_layers_are_half_and_the_head_is_not(files):
    weights = {item.name: item.data_type for item in onnx.load(files[1]).graph.initializer if len(item.dims) > 1}
    whole = {name for name, kind in weights.items() if kind == TensorProto.FLOAT}
    assert {name for name in whole if "weight" in name} <= {"model.7.weight", "model.head.weight"} and len(whole) < 4
    assert TensorProto.FLOAT16 in weights.values()
    assert files[1].stat().st_size < 0.7 * files[0].stat().st_size


def test_the_file_keeps_its_promises(files):
    proto = onnx.load(files[1])
    assert [(item.domain, item.version) for item in proto.opset_import] == [("", 18)] and proto.ir_version == 8
    assert read_specs(open_session(files[1].read_bytes(), 1)) == (IMAGE, {SOLE: TASK})
