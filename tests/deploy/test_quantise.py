import logging
import subprocess
import sys

import numpy as np
import onnx
import pytest
from torch import nn

from src.deploy.graph import export_onnx
from src.deploy.layers import find_layers
from src.deploy.model_file import write_model
from src.deploy.quantise import quantisable, quantiser
from src.edge.manifest import SOLE
from src.edge.session import open_session, read_specs, run_session
from src.spec import ImageSpec, TaskSpec
from tests.deploy.nets import IMAGE, TASK, attention_net, conv_net, pixels


@pytest.fixture(params=[conv_net, attention_net], ids=["static", "dynamic"])
def case(request, tmp_path):
    export_onnx(request.param(), IMAGE, TASK, tmp_path / "fp32.onnx")
    model = onnx.load(tmp_path / "fp32.onnx")
    layers = quantisable(find_layers(model.graph), model)
    way, quantise = quantiser(model, layers, np.split(pixels(32), 4))
    assert way == request.node.callspec.id
    return model, layers, quantise, tmp_path / "int8.onnx"


def eights(proto):
    return [item for item in proto.graph.initializer if item.data_type == onnx.TensorProto.INT8 and len(item.dims) > 1]


def test_all_layers_but_the_head_are_int8_per_channel(case):
    model, layers, quantise, path = case
    write_model(quantise(layers), path)
    proto = onnx.load(path)
    assert len(eights(proto)) == len(layers)
    scales = {item.name: item for item in proto.graph.initializer if item.name.endswith("_scale")}
    assert sum(len(item.dims) == 1 and item.dims[0] > 1 for item in scales.values()) >= len(layers)
    whole = [item for item in proto.graph.initializer if item.data_type == onnx.TensorProto.FLOAT]
    assert sum(sorted(item.dims) in ([2, 32], [2, 48]) for item in whole) == 1  # the head
    assert [(item.domain, item.version) for item in proto.opset_import] == [("", 18)] and proto.ir_version == 8
    assert read_specs(open_session(path.read_bytes(), 1)) == (IMAGE, {SOLE: TASK})
    assert path.stat().st_size < len(model.SerializeToString())


def test_logits_stay_near(case):
    model, layers, quantise, path = case
    write_model(quantise(layers), path)
    expected = run_session(open_session(model.SerializeToString(), 1), pixels(16, seed=1))[0]
    found = run_session(open_session(path.read_bytes(), 1), pixels(16, seed=1))[0]
    assert 0 < np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_a_layer_that_is_left_out_keeps_its_weights(case):
    _, layers, quantise, path = case
    write_model(quantise(layers[1:]), path)
    assert len(eights(onnx.load(path))) == len(layers) - 1


def test_nothing_is_said_and_the_logger_is_left_alone(case, caplog, capfd):
    _, layers, quantise, _ = case
    with caplog.at_level(logging.INFO):
        quantise(layers)
    assert not caplog.records and capfd.readouterr() == ("", "")


PEAK = """
import resource, sys
import numpy as np, onnx
from src.deploy.quantise import _ranges
model = onnx.load(sys.argv[1])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
_ranges(model, (np.zeros((1, 256, 256, 3), np.uint8) for _ in range(3)))
print(peak() - before)
"""


@pytest.mark.slow
def test_measuring_ranges_forgets_each_layer_as_it_goes(tmp_path):
    """Thirty outputs of 4 MB: onnxruntime's own calibrator holds all of them at once."""
    layers = [nn.Conv2d(3, 16, 3, 1, 1), *(nn.Conv2d(16, 16, 3, 1, 1) for _ in range(29))]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2)).eval()
    image = ImageSpec((256, 256), IMAGE.mean, IMAGE.std, "bilinear", 1.0, "center")
    export_onnx(net, image, TaskSpec("classification", ("bad", "good"), "bad"), tmp_path / "fp32.onnx")
    ended = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path / "fp32.onnx")], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 60, "MB"
