import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch.utils.flop_counter import FlopCounterMode

from src.benchmarks.roofline import SIDE, operations, product
from src.deploy.graph import export_onnx
from src.spec import TaskSpec
from tests.deploy.nets import IMAGE, TASK, attention_net, conv_net

SINGLE = TaskSpec(TASK.kind, TASK.classes)  # without further views


@pytest.mark.parametrize("make", [conv_net, attention_net])
def test_operations_are_those_that_torch_counts(make, tmp_path):
    model = make()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, *IMAGE.size))
    export_onnx(model, IMAGE, SINGLE, tmp_path / "model.onnx")
    assert operations(onnx.load(tmp_path / "model.onnx")) == counter.get_total_flops()


def test_what_has_no_shape_is_not_counted_as_nothing():
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"], name="odd")],
        "odd",
        [value("a", TensorProto.FLOAT, ["n", "k"]), value("b", TensorProto.FLOAT, ["k", "m"])],
        [value("c", TensorProto.FLOAT, ["n", "m"])],
    )
    with pytest.raises(ValueError, match="shapes of odd cannot be inferred"):
        operations(helper.make_model(graph))


@pytest.mark.parametrize(("precision", "kind"), [("fp32", np.float32), ("int8", np.int32)])
def test_the_product_is_one_of_the_stated_size(precision, kind):
    (found,) = product(precision, 1)()
    assert found.shape == (SIDE, SIDE) and found.dtype == kind and found.any()
