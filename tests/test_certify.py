"""Certify: thresholds go into the file that ships, with a certificate; or the bundle stays as it was."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.backbones import image_spec
from src.certify import _printable
from src.certifying import count_test, judge_pictures
from src.data import FolderData
from src.edge import Manifest, Runtime
from src.spec import TaskSpec
from tests.conftest import TINY, run_here


def draw_lot(folder: Path, count: int, seed: int) -> Path:
    """Draw `count` dark good parts and as many bright ones that are not, nearly told apart by their mean."""
    random = np.random.default_rng(seed)
    for name, level in (("good", 90), ("nok", 160)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.normal(level + random.normal(0, 18), 20, (48, 48, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a calibration split, exported."""
    root = tmp_path_factory.mktemp("certify")
    parts, folder = draw_lot(root / "parts", 130, 0), root / "run"
    words = ("data=folder", f"data.root={parts}", *TINY, "lora=none", "trainer.max_epochs=1", f"run_dir={folder}")
    assert run_here("train", *words, "data.calibration_fraction=0.7") == 0
    assert run_here("export", f"adapter={folder}") == 0
    return folder


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_a_bundle_is_certified_served_and_refused(run, invoke, tmp_path):
    bundle, before, key = run / "edge", held(run / "edge"), tmp_path / "key.pem"
    key.touch()
    for wrong, code, said in (
        (("escape_rate=0.01",), 1, "prove at most"),
        (("escape_rate=0",), 2, "escape_rate=0 must be above 0 and below 1"),
        (("escape_rate=0.05", "split=test"), 2, "split=test must be calibration, or val"),
        (("escape_rate=0.05", "decision.pass_classes=[fine]"), 2, "'fine' in pass_classes are no classes"),
        (("escape_rate=0.05", "data=folder", f"data.root={run.parent / 'parts'}"), 2, "trained on"),
        ((), 2, "escape_rate"),
        (("escape_rate=0.05", "split=val", f"sign={key}"), 2, "split=val changes no bundle"),
        (
            ("escape_rate=0.05", "data=folder", f"data.root={run.parent / 'parts'}", "data.limit=9"),
            2,
            "part of the lot",
        ),
    ):
        ended = invoke("certify", f"model={run}", *wrong)
        assert (ended.code, len([line for line in ended.err.splitlines() if line.startswith("error")])) == (code, 1)
        assert said in ended.err and held(bundle) == before
    ended = invoke("certify", f"model={run}", "escape_rate=0.6", "overkill_rate=0.7", "split=val")
    assert ended.code == 0 and json.loads((run / "estimate.json").read_text())["estimate"] is True
    assert held(bundle) == before and Runtime(bundle).decision is None

    ended = invoke("certify", f"model={run}", "escape_rate=0.05", "overkill_rate=0.1")
    assert ended.code == 0, ended.err
    told = json.loads((bundle / "certificate.json").read_text())
    runtime, manifest = Runtime(bundle), Manifest.read(bundle)
    assert (told["pass_below"],) == runtime.decision.pass_below and (
        told["reject_from"],
    ) == runtime.decision.reject_from
    assert told["model_sha256"] == sha256((bundle / "model.onnx").read_bytes()).hexdigest()
    assert {"certificate.json", "certificate.html"} <= set(manifest.files)
    assert (told["split"], told["unit"], told["precision"], told["estimate"]) == ("calibration", "image", "fp32", False)
    assert told["passed"] + told["reviewed"] + told["rejected"] == told["images"] == told["defects"] + told["goods"]
    assert told["escape_rate_upper_bound"] <= 0.05 and told["tests_on_this_data"] == 2  # one could not be promised
    assert told["seen_images_excluded"] is True and told["copies_left_out"] == 0

    lot = draw_lot(tmp_path / "lot", 70, 1)
    assert invoke("predict", f"model={run}", f"input={lot}", f"output={tmp_path / 'lines.jsonl'}").code == 0
    lines = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    for line in lines:
        score = np.float32(line["probabilities"]["nok"])
        passes, rejects = score < told["pass_below"], score >= told["reject_from"]
        assert line["verdict"] == ("pass" if passes else "reject" if rejects else "review")

    bare = Path(shutil.copytree(bundle, tmp_path / "bare"))
    ended = invoke("certify", f"model={bare}", "escape_rate=0.05")
    assert ended.code == 2 and "is apart from its run" in ended.err
    ended = invoke(
        "certify", f"model={bare}", "escape_rate=0.05", "data=folder", f"data.root={lot}", "data.cache_dir=null"
    )
    assert ended.code == 0, ended.err
    again = json.loads((bare / "certificate.json").read_text())
    assert (again["split"], again["defects"], again["seen_images_excluded"]) == ("lot", 70, False)


def test_how_often_images_have_certified_is_counted_by_data_and_split(tmp_path):
    assert [count_test(tmp_path, "a", "calibration") for _ in range(2)] == [1, 2]
    assert count_test(tmp_path, "a", "val") == 1 and count_test(tmp_path, "b", "calibration") == 1
    assert count_test(tmp_path, "a", "calibration") == 3 and count_test(None, "a", "calibration") is None
    (tmp_path / "tests.json").write_text("[]")
    with pytest.raises(ValueError, match="is damaged"):
        count_test(tmp_path, "a", "val")


def test_a_model_that_is_not_there_is_told_before_torch_is_imported(invoke, tmp_path):
    ended = invoke("certify", f"model={tmp_path / 'none'}", "escape_rate=0.05")
    assert ended.code == 2 and ended.err.startswith("error: no bundle at")


def test_no_sheet_says_where_a_private_key_lies():
    for word in ("sign=/keys/line.pem", "++sign=/keys/line.pem"):
        assert _printable(["model=run", word]) == ["model=run", "sign=KEY"]


def test_copies_are_no_further_draws_and_groups_are_one(tmp_path):
    folder = draw_lot(tmp_path / "lot", 4, 0)
    for number in range(3):
        shutil.copy(folder / "nok" / "000.png", folder / "nok" / f"copy{number}.png")

    class Fake:
        task = TaskSpec("classification", ("good", "nok"), "nok")

        def load(self, path):
            return path

        def run(self, paths):
            score = np.float32([[0.1 + 0.8 * ("nok" in str(paths[0])), 0.0]])
            return score, score, np.zeros(1)

    data = FolderData(folder, image=image_spec("test_efficientnet"), image_size=32, cache_dir=None)
    data.setup("test")
    shown, copies = judge_pictures(Fake(), data, "test")
    assert (len(shown.truths), copies, shown.groups, shown.truths.count("nok")) == (8, 3, None, 4)
