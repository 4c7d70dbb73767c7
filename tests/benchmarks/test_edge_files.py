import numpy as np
import onnx
import pytest
import torch

from src.backbones import create_backbone
from src.benchmarks.edge_files import PICTURE, TASK
from src.benchmarks.edge_files import _model as build
from src.deploy.layers import WEIGHTED
from src.edge import Runtime, decode
from src.lora import injection_of


def test_photographs_are_of_the_cameras_size_and_no_two_alike(photographs):
    pictures = [decode(path) for path in photographs]
    assert {(path.suffix, picture.shape) for path, picture in zip(photographs, pictures, strict=True)} == {
        (".jpg", (PICTURE[1], PICTURE[0], 3))
    }
    assert len({picture.tobytes() for picture in pictures}) == len(photographs)


@pytest.mark.slow
def test_every_bundle_serves_what_its_name_says(bundles, photographs):
    assert [bundle.name for bundle in bundles] == ["base fp32", "merged fp32", "merged fp16", "merged int8"]
    logits = {}
    for bundle in bundles:
        runtime = Runtime(bundle.folder, 1)
        logits[bundle.name] = runtime.run([runtime.load(photographs[0])])[0]
        assert runtime.image.size == (64, 64) and runtime.task == TASK
    scale = np.abs(logits["merged fp32"]).max()
    assert np.abs(logits["base fp32"] - logits["merged fp32"]).max() > 0.01 * scale  # the adapter is there
    assert np.abs(logits["merged fp16"] - logits["merged fp32"]).max() < 0.02 * scale
    assert len({bundle.operations for bundle in bundles}) == 1 and bundles[0].operations > 0


@pytest.mark.slow
def test_all_layers_but_the_head_are_in_int8_and_half_of_fp16(bundles):
    kinds = {bundle.name: [] for bundle in bundles}
    for bundle in bundles:
        graph = onnx.load(bundle.model).graph
        stored = {item.name: item.data_type for item in graph.initializer}
        inside = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
        weights = [node.input[1] for node in graph.node if node.op_type in WEIGHTED]
        kinds[bundle.name] = [stored[inside.get(name, name)] for name in weights]
    single, half, eight = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8
    layers = len(kinds["base fp32"]) - 1
    assert kinds["base fp32"] == kinds["merged fp32"] == [single] * (layers + 1)
    assert kinds["merged fp16"] == [half] * layers + [single]
    assert kinds["merged int8"] == [eight] * layers + [single]


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet"])
def test_the_merged_model_is_a_plain_one_with_other_weights(name):
    base, merged = (build(name, 64, adapted)[0] for adapted in (False, True))
    plain = create_backbone(name, "none", len(TASK.classes))[0]
    assert injection_of(merged) is None and list(merged.state_dict()) == list(plain.state_dict())
    assert [type(module) for module in merged.modules()] == [type(module) for module in plain.modules()]
    moved = [not torch.equal(old, new) for old, new in zip(base.parameters(), merged.parameters(), strict=True)]
    assert any(moved) and all(parameter.any() for parameter in base.parameters())
