import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from src.deploy import low_rank_branch, shared_graph
from src.deploy.low_rank_branch import add_low_rank_branches
from src.edge.session import INPUT, open_session
from src.lora import inputs_of
from tests.deploy.lines import backbone, task, trained


def exported(tmp_path, name, monkeypatch, cheaper=None, targets="dense"):
    """Return the graph of a line, and its logits, with low-rank branches wherever `cheaper` says."""
    if cheaper is not None:
        monkeypatch.setattr(low_rank_branch, "adding_is_cheaper", lambda *_: cheaper)
    image, model = backbone(name)[1], trained(1, name, targets=targets)
    line, path = inputs_of(model), tmp_path / f"{cheaper}.onnx"
    shared_graph.export_base(model, {"a": (line, task())}, image, path)
    proto = onnx.load(path)
    session = open_session(proto.SerializeToString(), 1)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *image.size, 3), dtype=np.uint8)
    values = {key: value.numpy() for key, value in (line.factors | line.head).items()}
    return proto, session.run(["logits"], {INPUT: pixels, **values})[0]


def weights_made(proto):
    return sum(node.op_type == "Gemm" and node.input[0].endswith("_adapter.B") for node in proto.graph.node)


@pytest.mark.parametrize(
    "name",
    [
        "test_efficientnet",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("test_vit", "test_resnet", "test_convnext")),
    ],
)
def test_both_ways_give_the_same_logits(tmp_path, monkeypatch, name):
    summed, expected = exported(tmp_path, name, monkeypatch, False)
    added, found = exported(tmp_path, name, monkeypatch, True)
    assert weights_made(summed) > 2 * weights_made(added)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    names = {item.name for item in added.graph.initializer}
    read = {name for node in added.graph.node for name in node.input}
    assert names <= read, "nothing is left that no node reads"


def test_large_weights_on_small_maps_get_thin_products(tmp_path, monkeypatch):
    proto, _ = exported(tmp_path, "test_efficientnet", monkeypatch)
    makers = {node.output[0]: node for node in proto.graph.node}
    convs = [node for node in proto.graph.node if node.op_type == "Conv"]
    hidden = [node for node in convs if node.output[0].endswith(".hidden")]
    summed = [node for node in convs if node.input[1] in makers and makers[node.input[1]].op_type == "Reshape"]
    assert hidden and len(summed) > len(hidden), "the first layers have large maps, the last ones large weights"


def test_grouped_convolutions_keep_their_sum(tmp_path, monkeypatch):
    proto, _ = exported(tmp_path, "test_efficientnet", monkeypatch, True, "all")
    convs = [node for node in proto.graph.node if node.op_type == "Conv"]
    grouped = [node for node in convs if any(item.name == "group" and item.i > 1 for item in node.attribute)]
    constants = {item.name for item in proto.graph.initializer}
    assert grouped and not {node.input[1] for node in grouped} & constants


def test_a_weight_with_two_readers_is_left_alone():
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Gemm", ["B", "A", "W"], ["sum"]),
        helper.make_node("Transpose", ["sum"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "turned"], ["y"]),
        helper.make_node("MatMul", ["y", "turned"], ["z"]),
    ]
    inputs = [
        value(name, TensorProto.FLOAT, shape) for name, shape in (("x", ["n", 1, 8]), ("B", [8, 1]), ("A", [1, 8]))
    ]
    weight = numpy_helper.from_array(np.eye(8, dtype=np.float32), "W")
    graph = helper.make_graph(nodes, "tied", inputs, [value("z", TensorProto.FLOAT, ["n", 1, 8])], [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    before = proto.SerializeToString()
    assert add_low_rank_branches(proto) == 0 and proto.SerializeToString() == before
