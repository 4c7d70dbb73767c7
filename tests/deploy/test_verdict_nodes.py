import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from src.decision import VERDICTS, DecisionSpec, verdicts, words
from src.deploy.graph import export_onnx
from src.deploy.layers import find_layers
from src.deploy.model_file import encode_model
from src.deploy.precisions.fp16 import to_fp16
from src.deploy.quantise import quantisable, quantiser
from src.deploy.verdict_nodes import add_verdict, remove_verdict
from src.edge.session import VERDICT, open_session, run_named
from src.edge.verdicts import decided_by, require_verdicts
from src.kinds import find_kind
from src.spec import ImageSpec, TaskSpec
from tests.deploy import nets

IMAGE = ImageSpec((6, 8), (0.5,) * 3, (0.25,) * 3, "bilinear", 1.0, "squash")
BINARY = TaskSpec("classification", ("bad", "good"), "bad")
THREE = TaskSpec("classification", ("scratch", "good", "dent"))
GRADES = TaskSpec("ordinal", ("a", "b", "c"))
LABELS = TaskSpec("multilabel", ("scratch", "rust", "clean"))
VALUE = TaskSpec("regression", ("mm",), center=3.0, scale=2.0)


def f32(value):
    return float(np.float32(value))


@cache
def model_of(task):
    """A file of one layer: exported where the task is `BINARY`, else written node by node, which is quicker."""
    if task == BINARY:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 8, len(task.classes))).eval()
        with TemporaryDirectory() as folder:
            export_onnx(network, IMAGE, task, Path(folder) / "plain.onnx")
            return (Path(folder) / "plain.onnx").read_bytes()
    node, value, axes = helper.make_node, helper.make_tensor_value_info, ["batch", len(task.classes)]
    weights = np.random.default_rng(0).normal(0, 4e-4, (3 * 6 * 8, len(task.classes))).astype(np.float32)
    ends = {
        "multilabel": [node("Sigmoid", ["logits"], ["probabilities"]), node("Identity", ["present"], ["decision"])],
        "regression": [node("Add", ["flat", "center"], ["decision"])],
    }
    classes = [
        node("Softmax", ["logits"], ["probabilities"]),
        node("ArgMax", ["logits"], ["decision"], axis=1, keepdims=0),
    ]
    nodes = [
        node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        node("Flatten", ["float"], ["row"]),
        node("MatMul", ["row", "weights"], ["logits"]),
        node("Greater", ["logits", "zero"], ["more"]),
        node("Cast", ["more"], ["present"], to=TensorProto.INT64),
        node("Reshape", ["logits", "whole"], ["flat"]),
        *ends.get(task.kind, classes),
    ]
    constants = {"weights": weights, "zero": np.float32(0), "whole": np.array([-1]), "center": np.float32(task.center)}
    number = TensorProto.FLOAT if task.kind == "regression" else TensorProto.INT64
    outputs = [value(name, TensorProto.FLOAT, axes) for name in find_kind(task.kind).outputs[:-1]]
    outputs += [value("decision", number, axes if task.kind == "multilabel" else axes[:1])]
    inputs = [value("image", TensorProto.UINT8, ["batch", *IMAGE.size, 3])]
    held = [numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()]
    graph = helper.make_graph(nodes, "plain", inputs, outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {"image": json.dumps(IMAGE.to_dict()), "task": json.dumps(task.to_dict())})
    return encode_model(model)


def batch(count=64, seed=1):
    random = np.random.default_rng(seed)
    return (random.integers(0, 256, (count, 1, 1, 3)) * random.uniform(0, 1, (count, 6, 8, 1))).astype(np.uint8)


def middle(values, share=0.5):
    """A score that a picture has, so that one lies exactly at the threshold."""
    return f32(np.sort(np.ravel(values))[int(share * (values.size - 1))])


def decisions(task, outputs):
    """Decisions of every form for the task, with thresholds at scores that pictures have."""
    if task.kind == "regression":
        low, high = middle(outputs, 0.2), middle(outputs, 0.8)
        return [
            DecisionSpec(margin=0.0, limits=(low, high)),
            DecisionSpec(margin=0.125, limits=(low, high)),
            DecisionSpec(margin=0.125, limits=(None, high)),
            DecisionSpec(margin=0.125, limits=(low, None)),
            DecisionSpec(margin=1e9, limits=(low, high)),
        ]
    if task.kind == "multilabel":
        low, high = (tuple(middle(outputs[:, i], share) for i in (0, 1)) for share in (0.3, 0.7))
        return [
            DecisionSpec(labels=("scratch", "rust"), pass_below=low, reject_from=high),
            DecisionSpec(labels=("rust",), pass_below=low[1:], reject_from=low[1:]),
        ]
    passing = tuple(task.classes[1:2])
    score = sum(outputs[:, i] for i, name in enumerate(task.classes) if name not in passing)
    low, high = middle(score, 0.3), middle(score, 0.7)
    above, below = (float(np.nextafter(np.float32(low), np.float32(side))) for side in (2, -1))
    return [
        DecisionSpec(pass_classes=passing, pass_below=(low,), reject_from=(high,)),
        DecisionSpec(pass_classes=passing, pass_below=(low,), reject_from=(low,)),
        DecisionSpec(pass_classes=passing, pass_below=(above,), reject_from=(above,)),
        DecisionSpec(pass_classes=passing, pass_below=(below,), reject_from=(low,)),
        DecisionSpec(decide_from=middle(outputs.max(axis=1))),
    ]


@pytest.mark.parametrize(
    "task", [BINARY, THREE, GRADES, LABELS, VALUE], ids=lambda task: f"{task.kind}{len(task.classes)}"
)
def test_the_file_gives_the_verdicts_of_numpy_also_at_the_thresholds(task):
    plain, pixels = model_of(task), batch()
    before = run_named(open_session(plain, 1), pixels)
    seen = set()
    for decision in decisions(task, decided_by(before, task)):
        proto = onnx.load_model_from_string(plain)
        add_verdict(proto, task, decision)
        after = run_named(open_session(encode_model(proto), 1), pixels)
        assert list(after) == [*before, VERDICT]
        assert all(after[name].tobytes() == before[name].tobytes() for name in before)
        expected = verdicts(task, decision, decided_by(before, task))
        assert after[VERDICT].dtype == np.int64
        np.testing.assert_array_equal(after[VERDICT], expected)
        seen |= set(words(expected))
    assert seen == set(VERDICTS) - {"unknown"}


def test_a_score_at_the_threshold_is_on_the_safe_side():
    plain, pixels = model_of(BINARY), batch()
    scores = run_named(open_session(plain, 1), pixels)["probabilities"][:, 0]
    at = float(scores[0])
    proto = onnx.load_model_from_string(plain)
    add_verdict(proto, BINARY, DecisionSpec(pass_classes=("good",), pass_below=(at,), reject_from=(at,)))
    found = run_named(open_session(encode_model(proto), 1), pixels)[VERDICT]
    assert VERDICTS[found[0]] == "reject"
    np.testing.assert_array_equal(found == 0, scores < np.float32(at))


def test_removal_gives_the_file_as_it_was_and_a_second_decision_replaces_the_first():
    plain = model_of(THREE)
    first = DecisionSpec(pass_classes=("good",), pass_below=(0.25,), reject_from=(0.5,))
    second = DecisionSpec(decide_from=0.75)
    once, twice = onnx.load_model_from_string(plain), onnx.load_model_from_string(plain)
    add_verdict(once, THREE, second)
    add_verdict(twice, THREE, first)
    add_verdict(twice, THREE, second)
    assert encode_model(once) == encode_model(twice) != plain
    remove_verdict(twice)
    assert encode_model(twice) == plain


def test_thresholds_are_named_float32_of_the_graph():
    proto = onnx.load_model_from_string(model_of(LABELS))
    add_verdict(proto, LABELS, DecisionSpec(labels=("rust", "clean"), pass_below=(0.25, 0.5), reject_from=(0.5, 0.75)))
    held = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    for name, value in (("pass_below.rust", 0.25), ("pass_below.clean", 0.5), ("reject_from.clean", 0.75)):
        assert held[f"verdict.{name}"].dtype == np.float32 and held[f"verdict.{name}"] == np.float32(value)


def test_int8_and_fp16_files_give_the_verdicts_of_their_own_outputs(tmp_path):
    export_onnx(nets.conv_net(), nets.IMAGE, nets.TASK, tmp_path / "fp32.onnx")
    model, inputs = onnx.load(tmp_path / "fp32.onnx"), nets.pixels(32)
    layers = quantisable(find_layers(model.graph), model)
    for proto in (quantiser(model, layers, np.split(inputs, 4))[1](layers), to_fp16(model)):
        plain = encode_model(proto)
        before = run_named(open_session(plain, 1), inputs)
        low, high = (middle(before["probabilities"][:, 0], share) for share in (0.3, 0.7))
        decision = DecisionSpec(pass_classes=("good",), pass_below=(low,), reject_from=(high,))
        add_verdict(proto, nets.TASK, decision)
        after = run_named(open_session(encode_model(proto), 1), inputs)
        assert all(after[name].tobytes() == before[name].tobytes() for name in before)
        require_verdicts(after, nets.TASK, decision)
        assert set(after[VERDICT]) == {0, 1, 2}
        remove_verdict(proto)
        assert encode_model(proto) == plain


@pytest.mark.parametrize("task", [THREE, LABELS, VALUE], ids=lambda task: task.kind)
def test_openvino_gives_the_verdicts_of_its_own_outputs(task):
    core = pytest.importorskip("openvino").Core()
    pixels = batch()
    for decision in decisions(task, decided_by(run_named(open_session(model_of(task), 1), pixels), task)):
        proto = onnx.load_model_from_string(model_of(task))
        add_verdict(proto, task, decision)
        compiled = core.compile_model(core.read_model(encode_model(proto)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = {name: value for port, value in compiled({"image": pixels}).items() for name in port.get_names()}
        np.testing.assert_array_equal(found[VERDICT], verdicts(task, decision, decided_by(found, task)))
