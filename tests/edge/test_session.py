import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from src.command import one_line
from src.edge import Runtime
from src.edge.session import load_model, open_session, run_session
from tests.edge.test_runtime import IMAGE, mean_colour_graph, write_bundle


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "weights.bin"])
def test_weights_in_another_file_are_refused(tmp_path, location, monkeypatch):
    (tmp_path / "secret.bin").write_bytes(b"0" * 16)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "weights.bin").write_bytes(b"0" * 16)
    monkeypatch.chdir(tmp_path / "here")
    model = onnx.load_from_string(mean_colour_graph())
    ten = model.graph.initializer[1]
    ten.ClearField("raw_data")
    ten.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "4")):
        ten.external_data.add(key=key, value=value)
    with pytest.raises(ValueError, match="cannot load the model") as caught:
        Runtime(write_bundle(tmp_path / "edge", model=model.SerializeToString()))
    assert len(one_line(caught.value).splitlines()) == 1


def test_whole_weights_in_the_folder_where_it_runs_are_no_part_of_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weight = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "weight")
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size, 8, 8]) for name, size in (("x", 3), ("y", 4))
    ]
    node = helper.make_node("Conv", ["x", "weight"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "outside", values[:1], values[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    load_model(model.SerializeToString(), 1)
    onnx.save_model(model, "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").stat().st_size == 4 * 4 * 3 * 3 * 3
    with pytest.raises(ValueError, match="cannot load the model"):
        load_model((tmp_path / "model.onnx").read_bytes(), 1)


def test_a_model_that_onnxruntime_cannot_load_is_refused():
    future = onnx.load_from_string(mean_colour_graph())
    future.ir_version = 999
    opset = onnx.load_from_string(mean_colour_graph())
    opset.opset_import[0].version = 999
    for data in (b"", b"no model", future.SerializeToString(), opset.SerializeToString()):
        with pytest.raises(ValueError, match="cannot load the model, update it"):
            open_session(data, 1)


def test_session_does_not_spin_and_keeps_to_the_cpu():
    session = open_session(mean_colour_graph(), 2)
    assert session.get_session_options().get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert session.get_session_options().intra_op_num_threads == 2
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert run_session(session, np.zeros((3, 6, 4, 3), np.uint8))[2].tolist() == [0, 0, 0]


def test_a_session_does_not_keep_the_file():
    model = mean_colour_graph()
    held = sys.getrefcount(model)
    session = open_session(model, 1)
    assert sys.getrefcount(model) == held and run_session(session, np.zeros((1, *IMAGE.size, 3), np.uint8))
