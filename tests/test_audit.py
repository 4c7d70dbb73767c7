"""The data gate by its command, and before a training."""

import json

import pytest

from tests.conftest import TINY
from tests.planted import PLANTED, plant, write_clean


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write_clean(tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    root = write_clean(tmp_path_factory.mktemp("faulty"))
    plant(root)
    return root


@pytest.fixture
def audit(invoke, tmp_path):
    def call(root, *overrides):
        cache = f"data.cache_dir={root.parent / 'cache'}"
        ended = invoke("audit", f"data.root={root}", f"output={tmp_path / 'audit'}", cache, *overrides)
        written = tmp_path / "audit/audit.json"
        return ended, json.loads(written.read_text()) if written.exists() else None

    return call


def test_nothing_is_found_on_a_clean_set(audit, clean, tmp_path):
    ended, content = audit(clean)
    assert ended.code == 0, ended.err
    assert content["findings"] == [] and content["passed"] and content["label_errors"] == []
    assert "Nothing was found" in ended.out and "Nothing was found" in (tmp_path / "audit/audit.html").read_text()


def test_every_planted_fault_is_found(audit, faulty, tmp_path):
    ended, content = audit(faulty)
    assert ended.code == 1
    found = {finding["kind"]: finding for finding in content["findings"]}
    assert set(found) == PLANTED
    assert {kind for kind, finding in found.items() if finding["stops"]} == {
        "exact_duplicates_across_splits",
        "near_duplicates_across_splits",
    }
    named = {
        kind: {path.rsplit("/", 2)[-2] + "/" + path.rsplit("/", 1)[-1] for pair in finding["images"] for path in pair}
        for kind, finding in found.items()
    }
    assert named["unreadable"] == {"green/broken.png"}
    assert named["exact_duplicates_across_splits"] == {"green/001.png", "green/copy.png"}
    assert named["near_duplicates_across_splits"] == {"ripe/002.png", "ripe/again.jpg"}
    assert named["two_labels"] == {"green/005.png", "ripe/both.png"}
    assert {f"ripe/was-green-{index}.png" for index in (20, 21, 22)} <= named["label_errors"]
    assert "green/small.png" in named["small_images"] and "green/large.png" in named["unlike_sizes"]
    assert named["unlike_modes"] == {"ripe/grey.png"}
    assert "ripe/dark.png" in named["brightness_outliers"] and "ripe/blurred.png" in named["sharpness_outliers"]
    page = (tmp_path / "audit/audit.html").read_text()
    assert page.count("data:image/jpeg;base64,") > 20 and "stops a training" in page
    (line,) = [line for line in ended.err.splitlines() if line.startswith("error:")]
    assert "data.allow=[exact_duplicates_across_splits,near_duplicates_across_splits]" in line


def test_what_is_allowed_by_name_stops_nothing(audit, faulty):
    ended, content = audit(
        faulty, "data.allow=[exact_duplicates_across_splits,near_duplicates_across_splits]", "backbone.weights=none"
    )
    assert ended.code == 0 and content["passed"]
    assert content["label_errors"] is None  # random weights see nothing
    ended, _ = audit(faulty, "data.allow=[near_duplicate]")
    assert ended.code == 2 and "no finding that stops" in ended.err


def test_a_training_does_not_begin_on_what_the_gate_stops(invoke, faulty, tmp_path):
    run = tmp_path / "run"
    asked = (f"data.root={faulty}", f"run_dir={run}", "data.cache_dir=null", *TINY)
    ended = invoke("train", *asked)
    assert ended.code == 1 and "the data gate stops this training" in ended.err
    assert f"python -m src.audit data.root={faulty}" in ended.err
    assert not run.exists()
