import json

import numpy as np
import onnx
import pytest

from src.deploy.graph import export_onnx
from src.deploy.layers import find_layers
from src.deploy.limits import Limits
from src.deploy.model_file import write_model
from src.deploy.quantise import quantiser
from src.deploy.search import _fewest, find_int8
from src.deploy.speed import Speed
from src.edge.session import open_session, run_session
from tests.deploy.nets import IMAGE, TASK, conv_net, parity, pixels


@pytest.fixture
def fp32(tmp_path):
    export_onnx(conv_net(), IMAGE, TASK, tmp_path / "fp32.onnx")
    return tmp_path / "fp32.onnx"


def fast():
    return Speed(2.0, 1.0, 1.2)


def in_fp32(model):
    """Names of the convolutions with weights that are no int8."""
    graph = onnx.load_from_string(model).graph
    constant = {item.name for item in graph.initializer}
    return {node.input[1] for node in graph.node if node.op_type == "Conv"} & constant


def alone(fp32, name, folder):
    """What the logits move by, on average, with one layer in int8."""
    model = onnx.load(fp32)
    layers = find_layers(model.graph)
    _, quantise = quantiser(model, layers, [pixels(8)])
    write_model(quantise([layer for layer in layers if layer.name == name]), folder / "alone.onnx")
    files = (fp32, folder / "alone.onnx")
    before, after = (run_session(open_session(path.read_bytes(), 1), pixels(8))[0] for path in files)
    return np.abs(before - after).mean()


def test_nothing_is_left_out_when_all_holds(fp32, tmp_path):
    search = find_int8(fp32, [pixels(8)], lambda _: parity("int8"), fast, tmp_path / "int8.onnx")
    assert search.left_out == () and search.sensitivity == {} and len(search.trials) == 1
    assert not in_fp32((tmp_path / "int8.onnx").read_bytes())


def test_the_layers_that_hurt_most_are_left_out_first(fp32, tmp_path):
    def judge(model):
        return parity("int8", accuracy=1.0 if len(in_fp32(model)) > 1 else 0.5)

    search = find_int8(fp32, [pixels(8)], judge, fast, tmp_path / "int8.onnx")
    names, felt = list(search.sensitivity), list(search.sensitivity.values())
    assert len(names) == search.layers == 4 and felt == sorted(felt, reverse=True) and felt[-1] > 0
    assert felt == pytest.approx([alone(fp32, name, tmp_path) for name in names])
    assert list(search.left_out) == names[:2]
    assert in_fp32((tmp_path / "int8.onnx").read_bytes()) == {f"model.{name}.weight" for name in names[:2]}
    assert search.trials[-1]["passed"] and search.trials[-1]["left_out"] == 2
    assert search.trials[0] == {
        **{"left_out": 0, "passed": False, "accuracy_drop": 0.5, "accuracy_onnx": 0.5, "auroc_onnx": 0.5},
        **{"max_abs_logit_diff": 0.0, "mean_abs_logit_diff": 0.0, "changed_decisions": 0},
    }


def test_the_search_ends_where_no_choice_passes(fp32, tmp_path):
    wrong = parity("int8", accuracy=0.1, limits=Limits(None, None, 0.005))
    search = find_int8(fp32, [pixels(8)], lambda _: wrong, fast, tmp_path / "int8.onnx")
    assert len(search.left_out) == search.layers - 1 and [row["left_out"] for row in search.trials] == [0, 3]
    assert search.ended == "with 3 of 4 layers in fp32 the decisions change too much"


def test_a_file_that_is_too_slow_is_not_judged(fp32, tmp_path):
    def judge(_):
        pytest.fail("judged")

    search = find_int8(fp32, [pixels(8)], judge, lambda: Speed(1.0, 1.0, 1.2), tmp_path / "int8.onnx")
    assert search.trials == () and search.left_out == () and "every layer in int8 the file is too slow" in search.ended
    assert search.speed.broken() and json.dumps(search.to_dict())


class Tries:
    """Layers of which `enough` have to stay in fp32, and at most `most` can."""

    def __init__(self, enough, most):
        self.enough, self.most, self.judged = enough, most, []

    def is_fast(self, left_out):
        return len(left_out) <= self.most

    def holds(self, left_out):
        self.judged.append(len(left_out))
        return len(left_out) >= self.enough


@pytest.mark.parametrize("enough", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("most", [0, 1, 5, 12, 13])
def test_halving_finds_the_shortest_beginning_that_is_right_and_fast(enough, most):
    tries, layers = Tries(enough, most), list(range(13))
    kept, ended = _fewest(layers, tries)
    assert len(tries.judged) <= 5 and bool(ended) == (most < enough)
    assert kept == layers[: min(most, 12) if ended else enough]
    if ended:
        assert tries.judged == [most] * (most > 0)


def test_no_pictures_and_no_layers_are_errors(fp32, tmp_path):
    with pytest.raises(ValueError, match="calibrated on training images, and there are none"):
        find_int8(fp32, [], lambda _: parity(), fast, tmp_path / "int8.onnx")
    model = conv_net()[-3:]
    model[-1].weight.data = model[-1].weight.data[:, :3].contiguous()
    export_onnx(model.eval(), IMAGE, TASK, tmp_path / "head.onnx")
    with pytest.raises(ValueError, match="no layer that int8 makes smaller"):
        find_int8(tmp_path / "head.onnx", [pixels(2)], lambda _: parity(), fast, tmp_path / "int8.onnx")
