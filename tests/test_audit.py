"""The data gate by its command, and before a training."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import TINY
from tests.planted import COUNTS, PLANTED, TINTS, picture, plant, write_clean


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


def test_a_class_too_small_for_the_splits_is_a_finding_on_the_page(audit, clean, tmp_path):
    root = tmp_path / "set"
    for label in TINTS:
        shutil.copytree(clean / "train" / label, root / label)
    (root / "rare").mkdir()
    picture(1, (70, 80, 190)).save(root / "rare/1.png")
    shutil.copy(root / "green/001.png", root / "green/copy.png")
    ended, content = audit(root)
    assert ended.code == 1 and "a training would stop (too_few_for_splits)" in ended.err
    assert "data.allow" not in ended.err  # nothing helps but images
    found = {finding["kind"]: finding for finding in content["findings"]}
    assert found["too_few_for_splits"]["stops"] and "class 'rare' has 1 images" in found["too_few_for_splits"]["text"]
    assert found["exact_duplicates"]["text"] == "1 pair of equal files: they count twice"
    assert content["counts"]["rare"] == {"no split": 1} and "few_images" not in found
    assert "None" not in (tmp_path / "audit/audit.html").read_text()


def test_broken_images_are_findings_whatever_they_leave(audit, clean, tmp_path):
    root = shutil.copytree(clean, tmp_path / "set")
    for path in (root / "val/ripe").iterdir():
        path.write_bytes(b"")
    ended, content = audit(root)
    found = {finding["kind"]: finding for finding in content["findings"]}
    assert ended.code == 1 and set(found) == {"none_readable", "unreadable", "few_images"}
    assert found["none_readable"]["text"].startswith("no image of class 'ripe' in val can be read")
    assert len(found["none_readable"]["images"]) == len(found["unreadable"]["images"]) == COUNTS["val"]
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    ended, content = audit(root, "data.on_error=stop")
    assert ended.code == 1 and content["readable"] == 0
    assert content["labels"] == {"examined": 0, "not_examined": "no image can be read"}
    assert "0 of 128" in (tmp_path / "audit/audit.html").read_text()


def test_a_training_does_not_begin_on_what_the_gate_stops(invoke, faulty, tmp_path, caplog):
    caplog.set_level("INFO")
    run = tmp_path / "run"
    kept = tmp_path / "splits.csv"
    asked = (f"data.root={faulty}", f"data.split_file={kept}", f"run_dir={run}", "+experiment=crops", *TINY)
    ended = invoke("train", *asked)
    assert ended.code == 1 and "the data gate stops this training" in ended.err
    assert "labels: none examined (the backbone has random weights)" in caplog.text
    assert f"see {run / 'audit.html'}, or allow" in ended.err and "'data.allow=[exact_dup" in ended.err
    content = json.loads((run / "audit.json").read_text())
    assert not content["passed"] and content["images"] > 100
    assert "A training would stop" in (page := (run / "audit.html").read_text()) and "python -m src.train" in page
    assert {path.name for path in run.glob("[!.]*")} == {"audit.html", "audit.json"}
    assert not kept.exists() and not (tmp_path / "latest").exists()
    for command, words in (("train", (f"resume={run}",)), ("evaluate", (f"adapter={run}",))):
        ended = invoke(command, *words)
        assert ended.code == 2 and "give the" in ended.err, ended.err  # it is no run


def test_a_refused_training_is_begun_again_in_the_same_folder(invoke, plates, tmp_path):
    root = shutil.copytree(plates, tmp_path / "set")
    for split in ("train", "val", "test"):
        for label in ("good", "defect"):
            (root / split / label).mkdir(parents=True)
    for number, path in enumerate(sorted(root.glob("[gd]*/*.png"))):
        path.rename(root / ("train", "train", "val", "test")[number % 4] / path.parent.name / path.name)
    for label in ("good", "defect"):
        (root / label).rmdir()
    copied = min((root / "train/good").iterdir())
    leak = Path(shutil.copy(copied, root / "test/good/leak.png"))
    run = tmp_path / "run"
    asked = ("data=folder", f"data.root={root}", f"run_dir={run}", *TINY, "trainer.max_epochs=1")
    ended = invoke("train", *asked)
    assert ended.code == 1 and (run / "audit.html").exists(), ended.err
    leak.unlink()
    assert invoke("train", *asked).code == 0
    assert (run / "report.html").exists() and not list(run.glob("audit.*"))


def test_what_is_not_used_is_on_the_page_and_stops_nothing(audit, clean, tmp_path):
    root = shutil.copytree(clean, tmp_path / "set")
    (root / "train/ripe/gone.png").symlink_to("nowhere.png")
    (root / "train/ripe/x.djvu").write_bytes(b"x")
    first = min((root / "train/green").iterdir())
    with Image.open(first) as image:
        image.save(first.with_suffix(".tif"), save_all=True, append_images=[image, image])
    first.unlink()
    ended, content = audit(root)
    assert ended.code == 0, ended.err
    found = {finding["kind"]: finding["text"] for finding in content["findings"]}
    assert found.keys() == {"not_used", "further_pages"}
    assert found["not_used"].startswith("2 files or folders are not used: ")
    assert found["further_pages"].startswith("1 image with 2 further pages")
    assert [Path(each["path"]).name for each in content["skipped"]] == ["gone.png", "x.djvu"]
    page = (tmp_path / "audit/audit.html").read_text()
    assert "Files and folders not used" in page and "x.djvu: no format that Graft reads" in page
