import hashlib
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from src.deploy import bundle as bundle_module
from src.deploy import parity as parity_module
from src.deploy.bundle import Candidate, ship, write_bundle
from src.deploy.parity import Limits, Parity
from src.edge import Runtime, decode
from src.spec import ImageSpec, TaskSpec

IMAGE = ImageSpec((8, 6), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "bilinear", 1.0, "squash")
TASK = TaskSpec("classification", ("bad", "good"), "bad")
PROVENANCE = {"adapter": "12ab", "base": "test", "date": "2025-01-01", "versions": {"torch": "2"}}


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(144, 2)).eval()


@pytest.fixture
def samples(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 9, 11, 3), dtype=np.uint8)
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, picture in zip(paths, pixels, strict=True):
        Image.fromarray(picture).save(path)
    return [(path, "bad") for path in paths]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def shipped(run, samples, seed=0):
    return ship(Candidate(network(seed), network(seed), IMAGE, TASK), {"test": samples}, run, "fp32", PROVENANCE)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_passed_bundle_is_whole_and_decides(run, samples):
    parity = shipped(run, samples)
    held = contents(run / "edge")
    manifest = json.loads(held["manifest.json"])
    assert parity.passed and os.listdir(run) == ["edge"]
    assert set(held) == {"model.onnx", "manifest.json", "parity.json", "README.md"}
    assert manifest["files"] == {
        name: hashlib.sha256(data).hexdigest() for name, data in held.items() if name != "manifest.json"
    }
    assert manifest["provenance"] == PROVENANCE and manifest["precision"] == "fp32"
    assert json.loads(held["parity.json"]) == {**parity.to_dict(), "also": {}}
    decisions = Runtime(run).predict([decode(path) for path, _ in samples])
    assert np.mean([decision.label == "bad" for decision in decisions]) == parity.accuracy_torch


def test_a_merge_that_changed_the_model_is_refused(run, samples):
    wrong = Candidate(network(0), network(1), IMAGE, TASK)
    parity = ship(wrong, {"val": samples}, run, "fp32", PROVENANCE)
    assert not parity.passed and os.listdir(run) == ["edge-refused-fp32"]


def test_the_first_split_decides_and_the_others_are_reported(run, samples):
    candidate = Candidate(network(), network(), IMAGE, TASK)
    parity = ship(candidate, {"val": samples[:3], "test": samples}, run, "fp32", PROVENANCE)
    written = json.loads((run / "edge" / "parity.json").read_text())
    assert (parity.split, parity.images) == ("val", 3) == (written["split"], written["images"])
    assert written["also"]["test"]["images"] == 4 and written["also"]["test"]["passed"]


def test_a_newer_bundle_takes_the_place(run, samples):
    shipped(run, samples)
    before = contents(run / "edge")
    shipped(run, samples, seed=1)
    assert contents(run / "edge")["model.onnx"] != before["model.onnx"] and os.listdir(run) == ["edge"]


def test_a_refused_bundle_leaves_the_earlier_one_and_its_figures(run, samples, monkeypatch):
    shipped(run, samples)
    before = contents(run / "edge")
    real = parity_module.run_session
    monkeypatch.setattr(parity_module, "run_session", lambda *args: tuple(-item for item in real(*args)))
    parity = shipped(run, samples, seed=1)
    assert not parity.passed and contents(run / "edge") == before
    assert sorted(os.listdir(run)) == ["edge", "edge-refused-fp32"]
    assert os.listdir(run / "edge-refused-fp32") == ["parity.json"]
    assert json.loads((run / "edge-refused-fp32" / "parity.json").read_text()) == {**parity.to_dict(), "also": {}}
    assert parity.to_dict()["passed"] is False


@pytest.mark.parametrize("broken", ["put_in_place", "_write_json", "sha256"])
def test_a_stop_on_the_way_leaves_the_earlier_bundle(run, monkeypatch, broken):
    parity = Parity("fp32", "test", 1, 0.0, 0.0, 1.0, 0, 1.0, 1.0, (), Limits())
    (run / "other.onnx").write_bytes(b"a model")
    write_bundle(run / "edge", run / "other.onnx", IMAGE, TASK, [parity], PROVENANCE)
    before = contents(run / "edge")

    def stop(*_):
        raise KeyboardInterrupt

    (run / "other.onnx").write_bytes(b"another model")
    monkeypatch.setattr(bundle_module, broken, stop)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(run / "edge", run / "other.onnx", IMAGE, TASK, [parity], PROVENANCE)
    assert contents(run / "edge") == before and sorted(os.listdir(run)) == ["edge", "other.onnx"]


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ("int8", "int8 and fp16 come later: use precision=fp32"),
        ("fp16", "int8 and fp16 come later: use precision=fp32"),
        ("fp8", "unknown precision 'fp8': use precision=fp32"),
    ],
)
def test_other_precisions_are_refused_and_nothing_else_is_shipped(run, samples, precision, message):
    with pytest.raises(ValueError, match=message):
        ship(Candidate(network(), network(), IMAGE, TASK), {"test": samples}, run, precision, PROVENANCE)
    assert not os.listdir(run)


def test_a_broken_picture_leaves_nothing(run, samples):
    samples[2][0].write_bytes(b"")
    with pytest.raises(ValueError, match=r"2\.png"):
        shipped(run, samples)
    assert not os.listdir(run)
