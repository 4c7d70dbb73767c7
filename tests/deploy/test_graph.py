import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from torch import nn

from src.backbones.pixels import average_views, normalise
from src.deploy.graph import ExportOptions, export_onnx
from src.edge.manifest import SOLE
from src.edge.session import open_session, read_specs, run_session
from src.kinds import find_kind
from src.spec import QUARTER_TURNS, VIEWS, ImageSpec, TaskSpec

IMAGE = ImageSpec((64, 96), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bicubic", 0.9, "center")
ROOT = Path(__file__).parents[2]


def task(views=("identity",)):
    return TaskSpec("classification", ("a", "b", "c"), None, views)


def backbone(name):
    """A tiny timm model whose normalisation layers do something."""
    torch.manual_seed(0)
    size = {"img_size": IMAGE.size} if "vit" in name else {}
    model = timm.create_model(name, pretrained=False, num_classes=3, **size).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model


def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(18, 3)).eval()


KINDS = (
    TaskSpec("ordinal", ("a", "b", "c")),
    TaskSpec("multilabel", ("a", "b", "c")),
    TaskSpec("regression", ("v",), center=7, scale=3),
)


@pytest.mark.parametrize("task", KINDS, ids=lambda task: task.kind)
def test_every_kind_of_task_decides_in_the_graph_as_in_torch(tmp_path, task):
    torch.manual_seed(0)
    model = nn.Sequential(nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(18, len(task.classes))).eval()
    export_onnx(model, IMAGE, task, tmp_path / "model.onnx")
    session = open_session((tmp_path / "model.onnx").read_bytes(), 1)
    pixels = np.random.default_rng(0).integers(0, 256, (64, *IMAGE.size, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = model(normalise(torch.from_numpy(pixels), IMAGE))
        chances, decided = find_kind(task.kind).interpret(expected, task)
    logits, probabilities, decision = run_session(session, pixels)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    np.testing.assert_allclose(probabilities, chances, atol=1e-5)
    if task.kind == "regression":
        np.testing.assert_allclose(decision, decided, atol=1e-4)
        assert probabilities.shape == (64, 0)
    else:
        np.testing.assert_array_equal(decision, decided)
        assert decision.dtype == np.int64
    assert read_specs(session) == (IMAGE, {SOLE: task})


@pytest.mark.parametrize(
    ("name", "views"),
    [
        pytest.param("test_vit", ("identity",), marks=pytest.mark.slow),
        ("test_efficientnet", ("identity", "horizontal", "vertical", "both")),
        ("test_efficientnet", VIEWS),
        pytest.param("test_convnext", ("identity", "horizontal"), marks=pytest.mark.slow),
        ("test_resnet", ("identity",)),
    ],
)
def test_onnxruntime_gives_the_outputs_of_torch(tmp_path, name, views):
    model = backbone(name)
    image = IMAGE if set(views).isdisjoint(QUARTER_TURNS) else replace(IMAGE, size=(64, 64))
    export_onnx(model, image, task(views), tmp_path / "model.onnx")
    session = open_session((tmp_path / "model.onnx").read_bytes(), 1)
    for batch in (1, 5):
        pixels = np.random.default_rng(batch).integers(0, 256, (batch, *image.size, 3), dtype=np.uint8)
        with torch.inference_mode():
            expected = average_views(model, normalise(torch.from_numpy(pixels), image), views)
        logits, probabilities, decision = run_session(session, pixels)
        assert np.abs(logits - expected.numpy()).max() <= 1e-4 * expected.abs().max()
        np.testing.assert_allclose(probabilities, expected.softmax(dim=1), atol=1e-5)
        np.testing.assert_array_equal(decision, expected.argmax(dim=1))
        assert decision.dtype == np.int64


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    export_onnx(tiny(), IMAGE, task(), path)
    return path


def test_file_is_alone_and_old_enough_for_old_runtimes(written):
    proto = onnx.load(written)
    assert [item.name for item in written.parent.iterdir()] == ["model.onnx"]
    assert [(item.domain, item.version) for item in proto.opset_import] == [("", 18)]
    assert proto.ir_version == 8 and not proto.functions
    assert [item.name for item in proto.graph.input] == ["image"]
    assert [item.name for item in proto.graph.output] == ["logits", "probabilities", "decision"]


def test_file_carries_its_specs(written):
    specs = read_specs(open_session(written.read_bytes(), 1))
    assert specs == (IMAGE, {SOLE: task()})


def test_file_holds_no_trace_of_the_machine(written):
    proto = onnx.load(written)
    items = [*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output]
    assert not any(item.metadata_props or item.doc_string for item in (*items, *proto.graph.initializer, proto.graph))
    data = written.read_bytes()
    for trace in (ROOT, Path(torch.__file__).parent, Path.home(), written.parent):
        assert os.fsencode(f"{trace}/") not in data


@pytest.mark.slow
def test_another_process_in_another_folder_writes_the_same_bytes(written, tmp_path):
    code = (
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[1:3]; import test_graph as t;"
        "t.export_onnx(t.tiny(), t.IMAGE, t.task(), Path('other.onnx'))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "123"}
    command = [sys.executable, "-c", code, str(ROOT), str(Path(__file__).parent)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert (tmp_path / "other.onnx").read_bytes() == written.read_bytes()
    assert done.stdout == ""


def test_export_is_quiet_and_leaves_the_loggers_alone(tmp_path, capfd, caplog):
    logger = logging.getLogger("onnxscript")
    logger.setLevel(logging.INFO)
    with caplog.at_level(logging.INFO):
        export_onnx(tiny(), IMAGE, task(), tmp_path / "model.onnx")
    assert logger.level == logging.INFO and capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    logger.setLevel(logging.NOTSET)


def test_an_opset_that_was_not_met_is_refused(tmp_path, monkeypatch):
    export = torch.onnx.export
    monkeypatch.setattr(torch.onnx, "export", lambda *args, **named: export(*args, **named | {"opset_version": 20}))
    with pytest.raises(ValueError, match="torch wrote opset 20 where 18 was asked for"):
        export_onnx(tiny(), IMAGE, task(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_model_of_one_batch_size_is_refused(tmp_path):
    class Folds(nn.Module):
        def forward(self, images):
            return images.reshape(2, -1)[:, :3]

    class Asks(nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :3] if images.shape[0] == 2 else images.flatten(1)[:, 3:6]

    for model in (Folds(), Asks()):
        with pytest.raises(ValueError, match="choose another one"):
            export_onnx(model.eval(), IMAGE, task(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_specs_are_json(written):
    held = {item.key: item.value for item in onnx.load(written).metadata_props}
    assert json.loads(held["task"])["classes"] == ["a", "b", "c"]


def test_file_says_where_it_comes_from(tmp_path):
    export_onnx(tiny(), IMAGE, task(), tmp_path / "model.onnx", provenance={"adapter_sha256": "ab", "date": "today"})
    held = {item.key: item.value for item in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert json.loads(held["provenance"]) == {"adapter_sha256": "ab", "date": "today"}


@pytest.mark.parametrize(("opset", "ir"), [(18, 8), (20, 9)])
def test_the_opset_that_was_asked_for_is_written(tmp_path, opset, ir):
    export_onnx(tiny(), IMAGE, task(), tmp_path / "model.onnx", ExportOptions(opset=opset))
    proto = onnx.load(tmp_path / "model.onnx")
    assert [(item.domain, item.version) for item in proto.opset_import] == [("", opset)] and proto.ir_version == ir
    assert run_session(open_session((tmp_path / "model.onnx").read_bytes(), 1), np.zeros((1, *IMAGE.size, 3), np.uint8))


@pytest.mark.parametrize("opset", [7, 13, 99])
def test_an_opset_that_torch_cannot_write_is_refused(tmp_path, opset):
    with pytest.raises(ValueError, match=r"opset|choose another"):
        export_onnx(tiny(), IMAGE, task(), tmp_path / "model.onnx", ExportOptions(opset=opset))
    assert not list(tmp_path.iterdir())


def test_branches_of_training_are_one_convolution_in_the_file(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("repvit_m0_9", pretrained=False, num_classes=3).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    image = replace(IMAGE, size=(64, 64))
    export_onnx(model, image, task(), tmp_path / "model.onnx")
    fused = sum(node.op_type == "Conv" for node in onnx.load(tmp_path / "model.onnx").graph.node)
    assert fused < sum(isinstance(module, nn.Conv2d) for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    pixels = np.random.default_rng(0).integers(0, 256, (2, *image.size, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = model(normalise(torch.from_numpy(pixels), image)).numpy()
    logits = run_session(open_session((tmp_path / "model.onnx").read_bytes(), 1), pixels)[0]
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_pixels_scale_is_held_for_a_row_and_not_for_one_pixel(tmp_path):
    export_onnx(backbone("test_resnet"), IMAGE, task(), tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    shapes = {item.name: tuple(item.dims) for item in graph.initializer}
    scaled = [node.input[1] for node in graph.node if node.op_type in ("Sub", "Div")][:3]
    assert [shapes[name] for name in scaled] == [(), (IMAGE.size[1], 3), (IMAGE.size[1], 3)]
