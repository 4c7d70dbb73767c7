"""The suite with tiny numbers, each part in its own process as in earnest."""

import json

import numpy as np
import pytest
from PIL import Image

from src.benchmarks.data import MANY, SMALL, _row, read_cold, read_warm, write_pictures
from src.benchmarks.suite import Options

TINY = ("suite=data", "models=[test_efficientnet]", "steps=1", "batch=4", "image_size=32")


def test_every_size_has_a_row_whose_figures_agree(invoke, tmp_path):
    ended = invoke("benchmark", *TINY, "images=[24,40]", f"output={tmp_path}")
    assert ended.code == 0, ended.err
    rows = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    assert [(row["images"], row["image_size"], row["batch"]) for row in rows] == [(24, 32, 4), (40, 32, 4)]
    for row in rows:
        pixels = row["images"] * 3 * 32 * 32
        assert pixels < row["cache_bytes"] < pixels + 100 * row["images"] + 1000
        assert row["epoch_ratio_to_model"] == row["epoch_images_per_second"] / row["model_images_per_second"]
        for part in ("cold", "warm"):
            assert 0 < row[f"{part}_peak_anonymous_bytes"] < row[f"{part}_peak_resident_bytes"]
    page = (tmp_path / "benchmark.md").read_text()
    assert page.count("| test_efficientnet |") == 2 and "error" not in page
    assert max(map(len, ended.out.splitlines()[:-1])) <= 100


def test_pictures_differ_in_two_classes_and_two_formats(tmp_path):
    size = write_pictures(tmp_path / "images", 12)
    files = [path for path in (tmp_path / "images").rglob("*") if path.is_file()]
    assert size == sum(path.stat().st_size for path in files)
    assert len({np.asarray(Image.open(path)).tobytes() for path in files}) == 12
    groups = [(path.parent.name, path.suffix) for path in files]
    assert {group: groups.count(group) for group in groups} == {
        (label, suffix): 3 for label in ("defect", "good") for suffix in (".jpg", ".png")
    }


def test_the_warm_part_decodes_nothing(tmp_path, monkeypatch):
    write_pictures(tmp_path / "images", 40)
    read_cold(tmp_path / "images", tmp_path / "cache", "test_efficientnet", 16)
    monkeypatch.setattr("src.data.contents.read_picture", None)
    monkeypatch.setattr("src.data.cache.load", None)
    row = read_warm(tmp_path / "images", tmp_path / "cache", "test_efficientnet", 16, 4)
    assert row["open_images_per_second"] > 0 and row["epoch_images_per_second"] > 0


def test_a_large_set_gets_a_small_input_and_a_fault_is_its_row(monkeypatch):
    def full(folder, images):
        raise OSError("no space\nleft")

    monkeypatch.setattr("src.benchmarks.data.write_pictures", full)
    row = _row("test_efficientnet", MANY + 1, Options(image_size=224))
    assert row["image_size"] == SMALL and row["error"] == "no space left"
    assert _row("test_efficientnet", MANY, Options(image_size=224))["image_size"] == 224


@pytest.mark.parametrize(
    ("override", "message"),
    [("images=[0]", "images=0: give a whole number"), ("methods=[graft]", "suite=data does not follow methods")],
)
def test_wrong_input_is_refused(invoke, tmp_path, override, message):
    ended = invoke("benchmark", *TINY, override, f"output={tmp_path / 'out'}")
    assert ended.code == 2 and message in ended.err and not (tmp_path / "out").exists()
