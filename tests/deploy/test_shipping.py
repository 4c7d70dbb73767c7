import json
import os
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from src.deploy import Candidate, ExportOptions, ship, shipping, trial
from src.deploy.limits import Budget
from src.deploy.precisions import int8
from src.deploy.stages import run_stages
from src.edge import ImageError, Runtime, decode
from tests.deploy.nets import IMAGE, TASK, attention_net, conv_net, saved

PROVENANCE = {"adapter": "12ab", "base": "test", "date": "2025-01-01", "versions": {"torch": "2"}}
FREE = Budget(max_accuracy_drop=0.2, min_speedup=0, max_accuracy_drop_bound=1.0)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Pictures with the class that the network itself gives them, so that its accuracy is 1."""
    given = saved(tmp_path_factory.mktemp("pictures"), 24)
    return labelled(conv_net(), given)


def labelled(model, given):
    with torch.inference_mode():
        stage = shipping.torch_stage("trained", model, IMAGE, TASK)
        (outputs,) = run_stages([stage], [path for path, _ in given], IMAGE)
    return [(path, TASK.classes[index]) for (path, _), index in zip(given, outputs[2], strict=True)]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def candidate(samples, seed=0, trained=None, build=conv_net, **splits):
    made = {"merge": lambda _: build(seed), "calibration": [path for path, _ in samples]}
    return Candidate(lambda: trained or build(seed), TASK, splits or {"val": samples}, PROVENANCE, **made)


def shipped(run, samples, precision="fp32", budget=None, seed=0):
    return ship(candidate(samples, seed), IMAGE, run, precision, budget=budget)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_passed_bundle_decides_as_the_gate_measured(run, samples, precision):
    verdict = shipped(run, samples, precision, FREE)
    held = contents(run / "edge")
    assert verdict.passed and os.listdir(run) == ["edge"]
    assert json.loads(held["parity.json"]) == verdict.to_dict() | {"also": {}}
    assert json.loads(held["manifest.json"])["precision"] == verdict.parity.stage == precision
    decisions = Runtime(run).predict([decode(path) for path, _ in samples])
    right = [decision.label == label for decision, (_, label) in zip(decisions, samples, strict=True)]
    if verdict.halves:  # by which the shipped file is measured
        right = [right[position] for position in verdict.halves.accepting]
    assert np.mean(right) == verdict.parity.accuracy_onnx and verdict.parity.accuracy_torch == 1


def test_every_stage_is_measured_against_the_trained_model(run, samples):
    written = shipped(run, samples, "int8", FREE).to_dict()
    assert [row["stage"] for row in written["stages"]] == ["trained", "merged", "fp32", "int8"]
    assert [row["accuracy"] for row in written["stages"]][:3] == [1, 1, 1]
    diffs = [row["max_abs_logit_diff"] for row in written["stages"][1:]]
    assert diffs[0] == 0 and diffs[1] <= 1e-4 * written["logit_scale"] < diffs[2] == written["max_abs_logit_diff"]
    assert written["search"]["way"] == "static" and written["search"]["layers"] == 4
    assert written["search"]["trials"][0]["left_out"] == 0 and written["search"]["trials"][0]["passed"]
    assert written["speed"]["speedup"] == pytest.approx(written["speed"]["fp32_ms"] / written["speed"]["shipped_ms"])


def test_attention_is_quantised_in_the_moment_of_the_run(run, tmp_path):
    given = labelled(attention_net(), saved(tmp_path / "pictures", 16))
    verdict = ship(candidate(given, build=attention_net), IMAGE, run, "int8", budget=FREE)
    ops = {node.op_type for node in onnx.load(run / "edge" / "model.onnx").graph.node}
    assert verdict.passed and verdict.search.way == "dynamic" and {"DynamicQuantizeLinear", "MatMulInteger"} <= ops


def test_int8_that_is_not_fast_enough_is_refused_and_the_earlier_bundle_stays(run, samples):
    shipped(run, samples)
    before = contents(run / "edge")
    verdict = shipped(run, samples, "int8", replace(FREE, min_speedup=1e6))
    assert not verdict.passed and contents(run / "edge") == before
    assert sorted(os.listdir(run)) == ["edge", "edge-refused-int8"]
    written = json.loads((run / "edge-refused-int8" / "parity.json").read_text())
    assert written["passed"] is False and not written["search"]["trials"]  # nothing was judged before
    ended, slow = written["reasons"]
    assert "every layer in int8 the file is too slow" in ended
    assert slow.partition(" times as fast as fp32, ")[2] == "1e+06 times wanted"


def test_images_that_choose_do_not_accept(run, samples, monkeypatch):
    judged, real = [], trial.judge
    monkeypatch.setattr(trial, "judge", lambda *given: judged.append((given[4], given[0])) or real(*given))
    verdict = shipped(run, samples, "int8", FREE)
    (choosing, accepting), halves = [part for stage, part in judged if stage == "int8"], verdict.halves
    assert not {*choosing} & {*accepting} and {*choosing} | {*accepting} == {*samples}
    assert list(choosing) == [samples[position] for position in halves.choosing]
    assert verdict.parity.images == verdict.parity.paired.draws == 12 == verdict.to_dict()["choosing_images"]
    assert verdict.parity.paired.drop_bound > 0.2 and "of 12 got worse" in verdict.evidence()
    (run / "again").mkdir()
    units = [index // 4 for index in range(24)]
    grouped = ship(replace(candidate(samples), units=units), IMAGE, run / "again", "int8", budget=FREE).halves
    assert not {units[at] for at in grouped.choosing} & {units[at] for at in grouped.accepting}


def test_few_images_are_refused_before_anything_is_quantised(run, samples, monkeypatch):
    monkeypatch.setattr(int8, "find_int8", lambda *_: pytest.fail("quantised"))
    verdict = shipped(run, samples, "int8", replace(FREE, max_accuracy_drop_bound=0.03))
    (reason,) = json.loads((run / "edge-refused-int8" / "parity.json").read_text())["reasons"]
    assert not verdict.passed and reason == (
        "12 of the validation images accept (the others choose; a group is one); even without a change they cannot "
        "prove less than a drop of 22.10 % at 95 %, max_accuracy_drop_bound=0.03 allowed: that takes 99, of 198 "
        "validation images; or "
        "ship precision=fp32, or allow more"
    )


def test_a_merge_that_changed_the_model_is_refused_before_anything_is_quantised(run, samples, monkeypatch):
    monkeypatch.setattr(int8, "find_int8", lambda *_: pytest.fail("quantised"))
    wrong = candidate(samples, seed=1, trained=conv_net(0))
    verdict = ship(wrong, IMAGE, run, "int8")
    assert not verdict.passed and os.listdir(run) == ["edge-refused-int8"]
    assert verdict.reasons()[0].startswith("merged: max |d logit|")


def test_the_first_split_decides_and_the_others_are_reported(run, samples):
    verdict = ship(candidate(samples, val=samples[:3], test=samples), IMAGE, run, "fp16")
    written = json.loads((run / "edge" / "parity.json").read_text())
    assert (verdict.parity.split, verdict.parity.images) == ("val", 3) == (written["split"], written["images"])
    assert written["also"]["test"]["images"] == 24 and written["also"]["test"]["passed"]
    assert [row["stage"] for row in written["also"]["test"]["stages"]] == ["trained", "merged", "fp32", "fp16"]


def test_a_newer_bundle_takes_the_place(run, samples):
    shipped(run, samples)
    before = contents(run / "edge")
    shipped(run, samples, seed=1)
    assert contents(run / "edge")["model.onnx"] != before["model.onnx"] and os.listdir(run) == ["edge"]


def test_an_unknown_precision_is_refused_and_nothing_else_is_shipped(run, samples):
    with pytest.raises(ValueError, match="unknown precision 'fp8': use precision=fp32, fp16, int8"):
        shipped(run, samples, "fp8")
    assert not os.listdir(run)


def test_int8_without_training_pictures_is_an_error(run, samples):
    with pytest.raises(ValueError, match="calibrated on training images, and there are none"):
        ship(replace(candidate(samples), calibration=()), IMAGE, run, "int8", budget=FREE)
    assert not os.listdir(run)


def test_a_broken_picture_leaves_nothing(run, tmp_path):
    given = saved(tmp_path / "pictures", 4)
    given[2][0].write_bytes(b"")
    with pytest.raises(ValueError, match=r"002\.png"):
        shipped(run, given)
    assert not os.listdir(run)


def test_the_same_model_gives_the_same_int8_bytes(run, samples):
    shipped(run, samples, "int8", FREE)
    before = (run / "edge" / "model.onnx").read_bytes()
    shipped(run, samples, "int8", FREE)
    assert (run / "edge" / "model.onnx").read_bytes() == before


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("profile", ["u8-resize", pytest.param("u8-matmul", marks=pytest.mark.slow), "float"])
def test_every_profile_goes_through_the_gate_and_the_runtime(run, samples, profile, precision):
    verdict = ship(candidate(samples), IMAGE, run, precision, ExportOptions(profile), FREE)
    assert verdict.passed, verdict.reasons()
    assert json.loads((run / "edge" / "manifest.json").read_text())["profile"] == profile
    runtime = Runtime(run)
    loaded = runtime.decide([runtime.load(path) for path, _ in samples])
    decoded = runtime.predict([decode(path) for path, _ in samples])
    assert loaded == decoded
    right = [decision.label == label for decision, (_, label) in zip(loaded, samples, strict=True)]
    if verdict.halves:
        right = [right[position] for position in verdict.halves.accepting]
    assert np.mean(right) == verdict.parity.accuracy_onnx


def test_a_camera_of_another_size_is_told_so(run, samples):
    ship(candidate(samples), IMAGE, run, "fp32", ExportOptions("u8-matmul"))
    with pytest.raises(ImageError, match="takes 36 x 40 pixels, not 7 x 9"):
        Runtime(run).predict([np.zeros((7, 9, 3), np.uint8)])
