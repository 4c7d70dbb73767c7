import json
import os
import shutil
from functools import partial

import numpy as np
import pytest

from src.deploy import Candidate, ExportOptions, sharing, ship_lines
from src.deploy.bundle import write_bundle
from src.deploy.stages import run_stages
from src.edge import Runtime, decode
from src.edge.manifest import SOLE, Line, Manifest
from tests.deploy.lines import backbone, task, trained
from tests.deploy.nets import saved

pytestmark = pytest.mark.slow  # tests/test_commands.py ships two lines on one base

BASE = {"base": "test_efficientnet", "versions": {"torch": "2"}}
LINES = {"left": (1, {}), "right": (2, {"rank": 2}), "third": (3, {"targets": "conv", "classes": 3})}


def candidates(pictures, names=LINES):
    found = {}
    for name in names:
        seed, settings = LINES[name]
        build = partial(trained, seed, **settings)
        kind = task(settings.get("classes", 2))
        labels = [(path, kind.classes[i % len(kind.classes)]) for i, (path, _) in enumerate(pictures)]
        found[name] = Candidate(build, kind, {"val": labels[:8], "test": labels[8:]}, {"date": "2025-01-01"})
    return found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("pictures"), 12)


@pytest.fixture(scope="module")
def shared(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "shared"
    return folder, ship_lines(candidates(pictures), backbone()[1], folder, ExportOptions(), BASE)


def test_every_line_decides_as_its_own_model(shared, pictures):
    folder, found = shared
    assert set(found) == set(LINES) and all(line.verdict.passed for line in found.values())
    runtime = Runtime(folder)
    assert runtime.lines == tuple(LINES)
    images = [decode(path) for path, _ in pictures]
    for name, candidate in candidates(pictures).items():
        stage = sharing.torch_stage("trained", candidate.build(), runtime.image, candidate.task)
        (expected,) = run_stages([stage], [path for path, _ in pictures], runtime.image)
        decided = runtime.predict(images, adapter=name)
        assert [item.label for item in decided] == [candidate.task.classes[i] for i in expected[2]]
        chances = np.array([list(item.probabilities.values()) for item in decided])
        assert np.abs(chances - expected[1]).max() < 1e-4


def test_lines_are_switched_from_picture_to_picture(shared, pictures):
    runtime = Runtime(shared[0])
    images = [decode(path) for path, _ in pictures[:4]]
    alone = {name: [item.probabilities for item in runtime.predict(images, adapter=name)] for name in LINES}
    for number, image in enumerate(images * 3):
        name = list(LINES)[number % 3]
        (turn,) = runtime.predict([image], adapter=name)
        assert turn.probabilities == pytest.approx(alone[name][number % 4], abs=1e-6)


def test_the_figures_are_kept_by_line(shared):
    folder, found = shared
    parity, manifest = (json.loads((folder / name).read_text()) for name in ("parity.json", "manifest.json"))
    assert parity["passed"] and parity["precision"] == "fp32" and set(parity["lines"]) == set(LINES)
    ratios = [line["max_abs_logit_diff"] / line["logit_scale"] for line in parity["lines"].values()]
    assert parity["max_abs_logit_diff"] / parity["logit_scale"] == max(ratios) <= 1e-4
    for name, line in parity["lines"].items():
        size = (folder / f"{name}.onnx_adapter").stat().st_size
        assert line["adapter_bytes"] == size == found[name].adapter_bytes < line["merged_bytes"] / 2
        assert line["also"]["test"]["images"] == 4 and line["speed"]["min_speedup"] is None
        assert manifest["lines"][name]["parity"]["images"] == 8
    assert manifest["task"] is None and set(manifest["files"]) == set(os.listdir(folder)) - {"manifest.json"}


@pytest.mark.slow
def test_the_same_lines_give_the_same_bytes(shared, pictures, tmp_path):
    ship_lines(candidates(pictures), backbone()[1], tmp_path / "again", ExportOptions(), BASE)
    for name in ("model.onnx", "left.onnx_adapter", "left.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (shared[0] / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["u8-resize", "u8-matmul", "float"])
def test_every_profile_is_shared(pictures, tmp_path, profile):
    lines = candidates(pictures, ["left", "right"])
    found = ship_lines(lines, backbone()[1], tmp_path / "shared", ExportOptions(profile), BASE)
    assert not [reason for line in found.values() for reason in line.verdict.reasons()]
    assert len(Runtime(tmp_path / "shared").line("right").predict([decode(pictures[0][0])])) == 1


@pytest.mark.slow
def test_one_line_that_fails_keeps_all_back(shared, pictures, tmp_path, monkeypatch):
    lines = candidates(pictures, ["left", "right"])
    folder = tmp_path / "shared"
    shutil.copytree(shared[0], folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write = sharing.write_line

    def spoilt(line, path):
        if path.name.startswith("right"):
            line.factors[next(iter(line.factors))] += 1
        write(line, path)

    monkeypatch.setattr(sharing, "write_line", spoilt)
    found = ship_lines(lines, backbone()[1], folder, ExportOptions(), BASE)
    assert found["left"].verdict.passed and not found["right"].verdict.passed
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    refused = json.loads((tmp_path / "shared-refused" / "parity.json").read_text())
    assert not refused["passed"] and refused["reasons"][0].startswith("right: max |d logit|")
    assert sorted(os.listdir(tmp_path)) == ["shared", "shared-refused"]


@pytest.mark.parametrize("name", ["../left", "", ".hidden", "a b", "a.b"])
def test_a_name_that_cannot_name_files_is_refused(pictures, tmp_path, name):
    lines = candidates(pictures, ["left"])
    with pytest.raises(ValueError, match="a line's name is made of"):
        ship_lines({name: lines["left"]}, backbone()[1], tmp_path / "shared", ExportOptions(), BASE)


def test_what_is_no_earlier_result_is_left_alone(pictures, tmp_path):
    lines = candidates(pictures, ["left", "right"])
    folder, refused = tmp_path / "shared", tmp_path / "shared-refused"
    for place, message in ((folder, "is no bundle"), (refused, "where the figures of a refusal belong")):
        place.mkdir()
        (place / "keep.txt").write_text("mine")
        with pytest.raises(ValueError, match=message):
            ship_lines(lines, backbone()[1], folder, ExportOptions(), BASE)
        assert os.listdir(place) == ["keep.txt"]
        shutil.rmtree(place)
    write_bundle(
        folder, {"model.onnx": b""}, {}, Manifest({}, backbone()[1], {SOLE: Line(task(), {}, {})}, "fp32", "u8", {}, {})
    )
    with pytest.raises(ValueError, match="is the bundle of one line"):
        ship_lines(lines, backbone()[1], folder, ExportOptions(), BASE)


def test_names_that_differ_in_capitals_only_are_refused(pictures, tmp_path):
    line = candidates(pictures, ["left"])["left"]
    with pytest.raises(ValueError, match="differ in more than capitals"):
        ship_lines({"a": line, "A": line}, backbone()[1], tmp_path / "shared", ExportOptions(), BASE)


def test_a_line_that_shares_no_base_is_named(pictures, tmp_path):
    lines = candidates(pictures, ["left"])
    dora = Candidate(partial(trained, 1, kind="dora"), task(), lines["left"].samples, {})
    with pytest.raises(ValueError, match=r"odd: .*dora.*: export it by itself"):
        ship_lines(lines | {"odd": dora}, backbone()[1], tmp_path / "shared", ExportOptions(), BASE)
    assert not os.listdir(tmp_path)
