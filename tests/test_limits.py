"""What people have that no benchmark has: each through train, evaluate, export and predict, with the defaults."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import balanced_accuracy_score

from tests.conftest import TINY


def write(folder, label, count, seed, side=64):
    """Write noisy plates whose brightness, stripes and tilt depend on the class."""
    random = np.random.default_rng(seed)
    (folder / label).mkdir(parents=True)
    kind = int(label.split("-")[1])
    rows, columns = np.mgrid[:side, :side]
    for number in range(count):
        wave = 40 * np.sin((rows * np.cos(kind) + columns * np.sin(kind)) / (1 + kind % 7))
        pixels = random.normal(60 + 12 * (kind % 10), 8, (side, side)) + wave
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / label / f"{number:03}.png")


def few_shot(root):
    for split, count in (("train", 2), ("val", 4), ("test", 6)):
        for kind in range(3):
            write(root / split, f"kind-{kind}", count, 10 * count + kind)


def one_percent(root):
    write(root, "kind-0", 495, 0)
    write(root, "kind-7", 5, 1)


def hundred_classes(root):
    for kind in range(100):
        write(root, f"kind-{kind:02}", 4, kind, side=32)


def of_side(side):
    def make(root):
        for kind in range(2):
            write(root, f"kind-{kind}", 12, kind, side)

    return make


SETS = {
    "two images a class": (few_shot, ()),
    "one class at one percent": (one_percent, ("task.imbalance.class_weights=0.5",)),
    "a hundred classes": (hundred_classes, ()),
    "images of 64 pixels": (of_side(64), ()),
    "a grey camera, a wide input": (of_side(64), ("backbone.in_chans=1", "data.image_size=[64,96]")),
    "images of 1,024 pixels": (of_side(1024), ("data.image_size=512",)),
}


PLAIN = ("a grey camera, a wide input",)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in PLAIN)) for name in SETS])
def test_a_set_goes_all_the_way(name, tmp_path, invoke):
    make, more = SETS[name]
    root, run = tmp_path / "images", tmp_path / "runs" / "run"
    make(root)
    trained = invoke(
        "train", "data=folder", f"data.root={root}", *TINY, "trainer.max_epochs=1", f"run_dir={run}", *more
    )
    assert trained.code == 0, trained.err
    metrics = json.loads((run / "metrics.json").read_text())
    assert (run / "report.html").stat().st_size > 10_000
    assert invoke("evaluate", f"adapter={run}").code == 0
    (folder,) = (run / "evaluations").iterdir()
    assert json.loads((folder / "metrics.json").read_text())["test"] == metrics["test"]
    with open(run / "predictions.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    balanced = balanced_accuracy_score(*([row[key] for row in rows] for key in ("target", "predicted")))
    assert metrics["test"]["balanced_accuracy"] == pytest.approx(balanced, abs=1e-6)
    shipped = invoke("export", f"adapter={run}")
    assert shipped.code == 0, shipped.err
    picture = next(root.rglob("*.png"))
    said = invoke("predict", f"model={run}", f"input={picture}")
    line = json.loads(said.out)
    assert said.code == 0 and sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)
