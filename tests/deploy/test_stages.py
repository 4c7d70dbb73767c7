import numpy as np
import pytest
import torch
from torch import nn

from src.deploy import stages
from src.deploy.graph import export_onnx
from src.deploy.stages import BATCH, PIXELS, SLICE, in_parts, onnx_stage, torch_stage
from src.spec import VIEWS, TaskSpec
from tests.deploy.nets import IMAGE, conv_net, pixels

MANY = TaskSpec("classification", ("bad", "good"), "bad", VIEWS[:4])


def sizes(parts):
    return [len(part) for part in parts]


@pytest.mark.parametrize(("views", "expected"), [(1, [15]), (4, [4, 4, 4, 3]), (8, [2] * 7 + [1]), (99, [2] * 7 + [1])])
def test_views_count_as_images_and_a_batch_is_always_seen(views, expected):
    assert sizes(in_parts([np.zeros((24, 32, 3), np.uint8)] * 15, views)) == expected


def test_large_pictures_go_in_twos():
    large = [np.zeros((1, PIXELS, 3), np.uint8)] * 5
    assert sizes(in_parts(large, 1)) == [2, 2, 1] and sizes(in_parts([], 1)) == []


def test_few_pictures_are_held_where_they_are_large(monkeypatch):
    def load(path, image, fit):
        return np.broadcast_to(np.uint8(0), (1, PIXELS, 3)) if fit == "large" else np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(stages, "load", load)
    assert [len(part["small"]) for part in stages._loaded(range(20), IMAGE, {"small"})] == [BATCH, 4]
    both = [len(part["large"]) for part in stages._loaded(range(7), IMAGE, {"small", "large"})]
    assert both == [3, 3, 1]


def test_no_network_sees_more_images_at_once_and_the_outputs_are_one_batch_s(tmp_path, monkeypatch):
    seen = {"torch": [], "onnx": []}

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = conv_net()

        def forward(self, images):
            seen["torch"].append(len(images))
            return self.net(images)

    run = stages.run_pictures

    def watched(session, pictures, adapter=None):
        seen["onnx"].append(len(pictures))
        return run(session, pictures, adapter)

    export_onnx(conv_net(), IMAGE, MANY, tmp_path / "fp32.onnx")
    monkeypatch.setattr(stages, "run_pictures", watched)
    pictures = list(pixels(13))
    ours = torch_stage("trained", Watched().eval(), IMAGE, MANY).run(pictures)
    theirs = onnx_stage("fp32", (tmp_path / "fp32.onnx").read_bytes(), "u8", len(MANY.views)).run(pictures)
    assert max(seen["torch"]) == SLICE and sum(seen["torch"]) == 13 * 4
    assert seen["onnx"] == [4, 4, 4, 1]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    with torch.no_grad():
        whole = stages.average_views(
            conv_net(), stages.normalise(torch.from_numpy(np.stack(pictures)), IMAGE), MANY.views
        )
    np.testing.assert_allclose(ours[0], whole.numpy(), atol=1e-5)
