from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from src.deploy.graph import ExportOptions, export_onnx
from src.deploy.layers import find_layers
from src.edge.preprocess import resize
from src.edge.profile import FITS, normalised
from src.edge.session import open_session, run_pictures
from tests.deploy.nets import IMAGE, TASK, conv_net, picture

SPECS = {
    "wide": replace(IMAGE, crop_pct=0.9),
    "square": replace(IMAGE, size=(32, 32), crop_pct=0.875, interpolation="bicubic"),
    "squash": replace(IMAGE, crop_mode="squash", crop_pct=0.95),
    "bicubic": replace(IMAGE, interpolation="bicubic", crop_pct=1.0),
}
SIZES = [(64, 48), (33, 71), (32, 24), (50, 50)]


def run(path, pictures):
    return run_pictures(open_session(path.read_bytes(), 1), pictures)


QUICK = [("wide", "u8-resize"), ("wide", "float"), ("square", "u8-resize")]
PAIRS = [(spec, profile) for spec in SPECS for profile in ("u8-resize", "u8-matmul", "float")]


# A graph for each size of the pictures takes its time.
@pytest.mark.parametrize(
    ("spec", "profile"),
    [pytest.param(*pair, marks=[pytest.mark.slow] * (pair not in QUICK)) for pair in PAIRS],
)
def test_every_profile_gives_the_logits_of_resized_pixels(tmp_path, spec, profile):
    image, model = SPECS[spec], conv_net()
    export_onnx(model, image, TASK, tmp_path / "u8.onnx")
    for size in SIZES:
        pictures = [np.array(picture(seed, size)) for seed in range(3)]
        expected = run(tmp_path / "u8.onnx", [resize(item, image) for item in pictures])[0]
        if profile == "u8-matmul" or not (tmp_path / "other.onnx").exists():
            export_onnx(model, image, TASK, tmp_path / "other.onnx", ExportOptions(profile, taken=size[::-1]))
        logits, _, decision = run(tmp_path / "other.onnx", [FITS[profile](item, image) for item in pictures])
        allowed = {"float": 1e-5, "u8-matmul": 0.002, "u8-resize": 0.01}[profile]
        assert np.abs(logits - expected).max() <= allowed * np.abs(expected).max()
        np.testing.assert_array_equal(decision, logits.argmax(axis=1))


def test_pictures_of_many_sizes_go_through_one_graph_one_by_one(tmp_path):
    export_onnx(conv_net(), IMAGE, TASK, tmp_path / "model.onnx", ExportOptions("u8-resize"))
    pictures = [np.array(picture(seed, size)) for seed, size in enumerate(SIZES)]
    logits = run(tmp_path / "model.onnx", pictures)[0]
    alone = [run(tmp_path / "model.onnx", [item])[0][0] for item in pictures]
    np.testing.assert_array_equal(logits, alone)


def test_the_matrices_of_the_resize_are_no_layers(tmp_path):
    export_onnx(conv_net(), IMAGE, TASK, tmp_path / "model.onnx", ExportOptions("u8-matmul", taken=(48, 64)))
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert sum(node.op_type == "MatMul" for node in graph.node) == 2
    assert {layer.op for layer in find_layers(graph)} == {"Conv"}


def test_normalised_is_the_scale_of_the_backbone():
    pixels = np.array(picture(0))
    resized = torch.from_numpy(resize(pixels, IMAGE)).permute(2, 0, 1)
    expected = (resized / 255 - torch.tensor(IMAGE.mean).view(3, 1, 1)) / torch.tensor(IMAGE.std).view(3, 1, 1)
    np.testing.assert_array_equal(normalised(pixels, IMAGE), expected.numpy())


@pytest.mark.parametrize(
    ("shape", "filter", "message"),
    [
        (ExportOptions("u8-resize"), "lanczos", "a graph resizes bilinear or bicubic, and this backbone takes lanczos"),
        (ExportOptions("u8-matmul", taken=(48, 64)), "nearest", "use profile=u8"),
        (ExportOptions("u8-matmul"), "bilinear", "the pictures have several: use profile=u8-resize"),
    ],
)
def test_what_a_graph_cannot_do_is_refused(tmp_path, shape, filter, message):
    with pytest.raises(ValueError, match=message):
        export_onnx(conv_net(), replace(IMAGE, interpolation=filter), TASK, tmp_path / "model.onnx", shape)


def test_an_unknown_profile_is_refused():
    with pytest.raises(ValueError, match="unknown profile 'u9': choose one of u8, u8-resize, u8-matmul, float"):
        ExportOptions("u9")
    with pytest.raises(ValueError, match="opset must be a whole number such as 18, not 'new'"):
        ExportOptions(opset="new")
