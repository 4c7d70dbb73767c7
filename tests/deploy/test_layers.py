import onnx
import pytest

from src.deploy.graph import export_onnx
from src.deploy.layers import find_layers, has_attention
from tests.deploy.nets import IMAGE, TASK, attention_net, conv_net


def graph(model, tmp_path):
    export_onnx(model, IMAGE, TASK, tmp_path / "model.onnx")
    return onnx.load(tmp_path / "model.onnx").graph


def test_layers_are_those_of_the_model_without_its_head(tmp_path):
    given = graph(conv_net(), tmp_path)
    layers, ops = find_layers(given), {node.name: node.op_type for node in given.node}
    assert [layer.name for layer in layers] == ["0", "2.inner.0", "2.inner.2", "3"]
    assert [[ops[name] for name in layer.nodes] for layer in layers][:3] == [["Conv", "Relu"]] * 2 + [["Conv", "Add"]]
    inside = {name for layer in layers for name in layer.nodes}
    outside = [ops[node.name] for node in given.node if node.name not in inside]
    assert {"Gemm", "Softmax", "ArgMax", "Cast", "Div", "Sub"} <= set(outside) and "Conv" not in outside


@pytest.mark.parametrize(("build", "expected"), [(conv_net, False), (attention_net, True)])
def test_attention_is_a_product_of_two_that_move(tmp_path, build, expected):
    assert has_attention(graph(build(), tmp_path)) is expected


def test_weights_of_attention_are_layers_and_its_products_are_not(tmp_path):
    given = graph(attention_net(), tmp_path)
    constant = {item.name for item in given.initializer}
    layers = find_layers(given)
    first = {node.name: node for node in given.node}
    assert len(layers) == 4 and all(first[layer.nodes[0]].input[1] in constant for layer in layers)
