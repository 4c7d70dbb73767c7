import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from src.deploy.graph import export_onnx
from src.deploy.limits import Limits
from src.deploy.parity import judge
from src.deploy.stages import BATCH, onnx_stage, run_stages, torch_stage
from src.edge import ImageError, load
from src.spec import ImageSpec, TaskSpec

IMAGE = ImageSpec((8, 6), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "bilinear", 1.0, "squash")
TASK = TaskSpec("classification", ("bad", "good"), "bad", ("identity", "horizontal"))


def network(bias=0.0):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 2)).eval()
    with torch.no_grad():
        model[1].bias += torch.tensor([bias, 0.0])
    return model


@pytest.fixture(scope="module")
def onnx_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("parity") / "model.onnx"
    export_onnx(network(), IMAGE, TASK, path)
    return path


@pytest.fixture
def samples(tmp_path):
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{number:02}.png" for number in range(BATCH + 5)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(path)
    return [(path, TASK.classes[number % 2]) for number, path in enumerate(paths)]


def check_parity(model, image, task, onnx_path, samples, split, limits=None):
    stages = [torch_stage("trained", model, image, task), onnx_stage("fp32", onnx_path.read_bytes())]
    outputs = run_stages(stages, [path for path, _ in samples], image) if samples else (None, None)
    return judge(samples, task, *outputs, "fp32", split, limits or Limits())


def reference(model, samples):
    """Logits by hand: the mean of the picture's and its mirror image's."""
    pixels = torch.from_numpy(np.stack([load(path, IMAGE) for path, _ in samples])).permute(0, 3, 1, 2)
    images = (pixels / 255 - 0.5) / 0.25
    with torch.no_grad():
        return ((model(images) + model(images.flip(3))) / 2).numpy()


def test_the_same_model_passes_with_its_accuracy(onnx_path, samples):
    parity = check_parity(network(), IMAGE, TASK, onnx_path, samples, "test")
    logits = reference(network(), samples)
    accuracy = np.mean([TASK.classes[row.argmax()] == label for row, (_, label) in zip(logits, samples, strict=True)])
    assert parity.passed and parity.images == len(samples) and parity.changed_decisions == 0
    assert parity.logit_scale == pytest.approx(np.abs(logits).max(), rel=1e-5)
    assert parity.accuracy_torch == parity.accuracy_onnx == pytest.approx(accuracy)
    probability = torch.from_numpy(logits).softmax(dim=1)[:, 0]
    bad = torch.tensor([label == "bad" for _, label in samples])
    wins = (probability[bad][:, None] > probability[~bad]).float().mean().item()
    assert parity.auroc_torch == parity.auroc_onnx == pytest.approx(wins)
    assert 0 <= parity.mean_abs_logit_diff <= parity.max_abs_logit_diff <= 1e-5


def test_another_model_is_refused_with_its_figures(onnx_path, samples):
    parity = check_parity(network(bias=0.3), IMAGE, TASK, onnx_path, samples, "test")
    before, after = reference(network(bias=0.3), samples), reference(network(), samples)
    changed = before.argmax(axis=1) != after.argmax(axis=1)
    assert not parity.passed and changed.any()
    assert parity.changed_decisions == changed.sum()
    assert parity.max_abs_logit_diff == pytest.approx(0.3, abs=1e-5)
    assert parity.mean_abs_logit_diff == pytest.approx(0.15, abs=1e-5)
    named = {row["path"] for row in parity.worst if row["torch"] != row["onnx"]}
    assert named <= {str(path) for (path, _), moved in zip(samples, changed, strict=True) if moved}
    assert len(named) == min(changed.sum(), 5)


def test_a_small_difference_is_too_large_above_the_limit_only(onnx_path, samples):
    parity = check_parity(network(bias=1e-3), IMAGE, TASK, onnx_path, samples, "test")
    assert not parity.passed
    wide = Limits(
        relative_logit_diff=1.1 * parity.max_abs_logit_diff / parity.logit_scale, changed_decisions=1, accuracy_drop=1
    )
    assert check_parity(network(bias=1e-3), IMAGE, TASK, onnx_path, samples, "test", limits=wide).passed
    assert not replace(parity, max_abs_logit_diff=0.0, changed_decisions=1).passed


def test_a_difference_that_is_no_number_fails_and_stays_json(onnx_path, samples):
    parity = check_parity(network(), IMAGE, TASK, onnx_path, samples, "test")
    broken = replace(parity, max_abs_logit_diff=math.nan)
    assert not broken.passed
    assert json.loads(json.dumps(broken.to_dict(), allow_nan=False))["max_abs_logit_diff"] is None


def test_a_file_that_gives_no_values_is_refused_by_the_gate_with_its_figures():
    task, none = TaskSpec("regression", ("sugar",)), np.empty((3, 0), np.float32)
    values = np.array([[0.0], [1.0], [2.0]], np.float32)
    samples = [(Path(f"{number}.png"), str(number)) for number in range(3)]
    spoilt = np.full_like(values, np.nan)
    parity = judge(samples, task, (values, none, values[:, 0]), (spoilt, none, spoilt[:, 0]), "fp32", "val", Limits())
    assert not parity.passed and any("R2 fell by nan" in reason for reason in parity.broken())
    assert "R2 1.0000 -> nan" in parity.describe()
    told = json.loads(json.dumps(parity.to_dict(), allow_nan=False))
    assert told["accuracy_torch"] == 1 and told["accuracy_onnx"] is None


def test_to_dict_holds_the_contract(onnx_path, samples):
    values = json.loads(json.dumps(check_parity(network(), IMAGE, TASK, onnx_path, samples, "val").to_dict()))
    assert values["passed"] is True and values["stage"] == "fp32" and values["split"] == "val"
    assert values["images"] == len(samples) and values["changed_decisions"] == 0
    assert {"max_abs_logit_diff", "logit_scale"} <= set(values)
    assert values["limits"] == {
        "relative_logit_diff": 1e-4,
        "changed_decisions": 0,
        "accuracy_drop": 0,
        "drop_bound": None,
    }


def test_a_gone_or_broken_picture_is_an_error(onnx_path, samples):
    samples[3][0].write_bytes(b"")
    with pytest.raises(ImageError, match=r"03\.png: empty"):
        check_parity(network(), IMAGE, TASK, onnx_path, samples, "test")
    samples[3][0].unlink()
    with pytest.raises(ImageError, match=r"03\.png: No such file"):
        check_parity(network(), IMAGE, TASK, onnx_path, samples, "test")


def test_what_cannot_be_compared_is_an_error(onnx_path, samples):
    with pytest.raises(ValueError, match="no pictures in split 'test'"):
        check_parity(network(), IMAGE, TASK, onnx_path, [], "test")
    with pytest.raises(ValueError, match="the truth 'ugly' is unknown: it must be one of bad, good"):
        check_parity(network(), IMAGE, TASK, onnx_path, [(samples[0][0], "ugly")], "test")
    with pytest.raises(ValueError, match="not finite"):
        check_parity(network(bias=math.nan), IMAGE, TASK, onnx_path, samples, "test")


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_labels_and_values_are_compared_too(tmp_path, samples, kind):
    several = kind == "multilabel"
    task = TaskSpec(kind, ("bad", "good")) if several else TaskSpec(kind, ("value",), center=5, scale=2)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, len(task.classes))).eval()
    export_onnx(model, IMAGE, task, tmp_path / "model.onnx")
    truths = [
        (path, ("", "bad", "bad|good")[number % 3] if several else str(number))
        for number, (path, _) in enumerate(samples)
    ]
    parity = check_parity(model, IMAGE, task, tmp_path / "model.onnx", truths, "val")
    assert parity.passed and parity.changed_decisions == 0
    assert isinstance(parity.worst[0]["onnx"], str if several else float)
    if several:
        pixels = torch.from_numpy(np.stack([load(path, IMAGE) for path, _ in samples])).permute(0, 3, 1, 2)
        with torch.no_grad():
            decided = (model((pixels / 255 - 0.5) / 0.25) >= 0).numpy()
        right = [[name in truth for name in task.classes] for _, truth in truths] == decided
        assert parity.accuracy_torch == parity.accuracy_onnx == pytest.approx(right.mean())
    else:
        assert parity.accuracy_torch == pytest.approx(parity.accuracy_onnx, abs=1e-5) and parity.auroc_torch is None
    told = parity.accuracy_torch
    assert (f", accuracy {100 * told:.1f} -> " if several else f", R2 {told:.4f} -> ") in parity.describe()
    with torch.no_grad():
        model[1].bias += 5
    refused = check_parity(model, IMAGE, task, tmp_path / "model.onnx", truths, "val")
    assert not refused.passed and refused.changed_decisions > 0


def test_auroc_is_none_with_one_class_only(onnx_path, samples):
    parity = check_parity(network(), IMAGE, TASK, onnx_path, samples[::2], "test")
    assert parity.auroc_torch is None and parity.auroc_onnx is None and parity.passed


def test_a_file_that_finds_no_defect_any_more_is_refused_whatever_its_accuracy():
    truths = [(Path("x"), "bad")] * 5 + [(Path("x"), "good")] * 95
    logits = np.tile(np.float32([-1, 1]), (100, 1))
    logits[:8] *= -1  # five found, three alarms
    blind = np.tile(np.float32([-1, 1]), (100, 1))

    def outputs(values):
        chances = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
        return values, chances, values.argmax(axis=1)

    parity = judge(truths, TASK, outputs(logits), outputs(blind), "int8", "val", Limits(None, None, 0.03))
    assert parity.accuracy_torch - parity.accuracy_onnx <= 0.03 and not parity.passed
    assert parity.broken() == ["recall fell by 1.0000, 0.0300 allowed"]


def test_probabilities_that_are_not_those_of_the_logits_are_refused():
    truths = [(Path("x"), "bad"), (Path("x"), "good")]
    logits = np.float32([[1, -1], [-1, 1]])
    chances = np.float32([[0.88, 0.12], [0.12, 0.88]])
    right = (logits, chances, np.array([0, 1]))
    for wrong in (chances * np.nan, chances[::-1]):
        assert not judge(truths, TASK, right, (logits, wrong, right[2]), "fp32", "val", Limits()).passed
    assert judge(truths, TASK, right, right, "fp32", "val", Limits()).passed
