import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from src.command import one_line
from src.edge import Runtime
from src.edge.session import load_model, open_session, run_session
from tests.edge.test_lines import HEADS, base, write_adapter
from tests.edge.test_runtime import IMAGE, mean_colour_graph, write_bundle

ROOT = Path(__file__).parents[2]


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


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core runs one thread")
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


def test_a_run_that_is_unlike_the_last_ones_gives_its_memory_back(monkeypatch):
    session, shrinks = open_session(mean_colour_graph(taken=("height", "width")), 1), []
    monkeypatch.setattr("src.edge.session.release_freed_memory", lambda: shrinks.append(True))

    def shrunk(count, side):
        shrinks.clear()
        run_session(session, np.zeros((count, side, side, 3), np.uint8))
        return bool(shrinks)

    assert shrunk(1, 500)  # the first one
    assert [shrunk(1, side) for side in (500, 500, 550, 20)] == [False, False, False, False]  # all of them are small
    assert [shrunk(1, side) for side in (2000, 2000, 2010, 1990)] == [True, False, False, False]
    assert [shrunk(1, side) for side in (500, 500)] == [True, False]
    assert [shrunk(count, 60) for count in (8, 8, 7, 1, 1)] == [True, False, False, True, False]


def test_memory_is_given_back_with_the_same_bits(monkeypatch):
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (1, side, side, 3), dtype=np.uint8) for side in (90, 1500, 1500, 70)]
    session = open_session(mean_colour_graph(taken=("height", "width")), 1)
    found = [run_session(session, picture) for picture in pictures]
    monkeypatch.setattr("src.edge.session._HAS_ARENA", False)
    plain = open_session(mean_colour_graph(taken=("height", "width")), 1)
    for own, picture in zip(found, pictures, strict=True):
        for one, other in zip(own, run_session(plain, picture), strict=True):
            np.testing.assert_array_equal(one, other)


SOAK = """
import sys
import numpy as np
from src.edge import Runtime
from src.edge.lines import ActiveAdapter
from src.edge.session import open_session, run_pictures

def resident():
    return int(open("/proc/self/status").read().partition("VmRSS:")[2].split()[0]) / 1024

session = open_session(open(sys.argv[1], "rb").read(), 1)
adapters = [None, *(ActiveAdapter(open(path, "rb").read()) for path in sys.argv[2:])]
random, held = np.random.default_rng(0), []
for number in range(1000):
    if number % 200 == 150:
        pictures = [np.zeros((4000, 6000, 3), np.uint8)]
    elif number % 50 == 0:
        pictures = [np.zeros((300, 400, 3), np.uint8)] * 32
    else:
        pictures = [np.zeros((*random.integers(8, 700, 2), 3), np.uint8)]
    run_pictures(session, pictures, adapters[number % len(adapters)])
    del pictures
    held.append(resident())
    if number == 20:
        start = held[-1]
print(max(held[20:]) - start)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the system for the memory of the process")
def test_memory_is_flat_over_a_thousand_pictures_of_mixed_sizes(tmp_path):
    """One by one and many at once, with a base alone and with the adapters of the lines that share it."""
    (tmp_path / "model.onnx").write_bytes(base(("height", "width")))
    for name, head in HEADS.items():
        write_adapter(tmp_path / name, {"head": head})
    files = [tmp_path / name for name in ("model.onnx", *HEADS)]
    line = [sys.executable, "-c", SOAK, *map(str, files)]
    ended = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(ended.stdout) < 25  # MiB; some 340 where no memory is given back


def test_no_more_threads_than_cores_run(caplog):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    session = open_session(mean_colour_graph(), 10_000)
    assert session.get_session_options().intra_op_num_threads == cores
    assert f"threads=10000: there are {cores} cores, so as many threads run" in caplog.text
    caplog.clear()
    assert open_session(mean_colour_graph(), 1).get_session_options().intra_op_num_threads == 1
    open_session(mean_colour_graph(), 2)
    assert not caplog.text


def test_numbers_in_the_byte_order_of_another_machine_are_the_same_numbers():
    graph = onnx.load_from_string(mean_colour_graph())
    graph.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    session = open_session(graph.SerializeToString(), 1)
    batch = np.random.default_rng(0).normal(size=(2, *IMAGE.size, 3)).astype(np.float32)
    for other in (batch.astype(">f4"), batch[:, ::-1].copy()[:, ::-1], np.asfortranarray(batch)):
        for one, two in zip(run_session(session, batch), run_session(session, other), strict=True):
            np.testing.assert_array_equal(one, two)
