"""Every kind of task through train, evaluate, export and predict, on pictures from a table."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from tests.conftest import TINY

KINDS = {
    "ordinal": ("label", ("accuracy", "balanced_accuracy", "auroc", "quadratic_kappa", "mean_absolute_error")),
    "multilabel": ("labels", ("accuracy", "exact_match", "f1", "auroc", "average_precision")),
    "regression": ("value", ("mean_absolute_error", "root_mean_squared_error", "r2", "pearson")),
}
GRADES = ("dark", "grey", "bright")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """60 noisy plates of unlike brightness, with lines across, along, both or none, and what they are."""
    folder, random = tmp_path_factory.mktemp("plates"), np.random.default_rng(0)
    rows = [("path", "label", "labels", "value")]
    for number in range(60):
        level = random.uniform(0, 1)
        pixels = random.normal(60 + 120 * level, 10, (64, 64))
        lines = [name for name, there in (("across", number % 2), ("along", number // 2 % 2)) if there]
        if "across" in lines:
            pixels[random.integers(5, 55) :][:5] += 75
        if "along" in lines:
            pixels[:, random.integers(5, 55) :][:, :5] -= 75
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")
        rows.append((f"{number:02}.png", GRADES[int(3 * level)], "|".join(lines), f"{20 * level:.3f}"))
    with open(folder / "table.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "table.csv"


@pytest.mark.parametrize(
    "kind", [pytest.param(name, marks=[pytest.mark.slow] * (name != "multilabel")) for name in KINDS]
)
def test_a_kind_is_trained_judged_shipped_and_decided_alike(kind, table, tmp_path, invoke):
    target, names = KINDS[kind]
    run = tmp_path / "runs" / kind
    ended = invoke(
        "train", f"task={kind}", "data=table", f"data.table={table}", f"data.target={target}", *TINY,
        "data.classes=[dark,grey,bright]" if kind == "ordinal" else "data.classes=null",
        "trainer.max_epochs=2", "optimizer.lr=0.01", f"run_dir={run}",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(names) <= set(metrics["test"])
    with open(run / "history.csv", newline="") as file:
        (kept,) = (row for row in csv.DictReader(file) if int(row["epoch"]) == metrics["best_epoch"])
    for name in {*metrics["val"]} - {"loss"}:  # the epoch that was kept, without other views
        assert float(kept[f"val_{name}"]) == pytest.approx(metrics["val"][name], rel=1e-4, abs=1e-4), name
    if kind != "multilabel":  # a random backbone sees brightness, and hardly lines
        assert metrics["val"]["quadratic_kappa" if kind == "ordinal" else "r2"] > 0.5

    again = invoke("evaluate", f"adapter={run}")
    assert again.code == 0, again.err
    (folder,) = (run / "evaluations").iterdir()
    assert json.loads((folder / "metrics.json").read_text())["test"] == metrics["test"]

    shipped = invoke("export", f"adapter={run}")
    assert shipped.code == 0, shipped.err
    with open(run / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    said = invoke("predict", f"model={run}", f"input={table.parent}")
    assert said.code == 0, said.err
    lines = {line["path"]: line for line in map(json.loads, said.out.splitlines())}
    for row in rows:
        line = lines[str((table.parent / row["path"].rsplit("/", 1)[-1]).resolve())]
        if kind == "regression":
            assert line["value"] == pytest.approx(float(row["predicted"]), abs=1e-3)
        else:
            assert line["label"] == row["predicted"]
            chances = {name.removeprefix("p_"): float(value) for name, value in row.items() if name.startswith("p_")}
            assert line["probabilities"] == pytest.approx(chances, abs=1e-5)


def test_the_wrong_task_is_one_line_that_names_the_right_one(table, tmp_path, invoke):
    ended = invoke(
        "train", "data=table", f"data.table={table}", "data.target=value", *TINY, f"run_dir={tmp_path / 'r'}"
    )
    assert ended.code == 2
    assert ended.err.strip().splitlines()[-1].startswith("error: task=classification learns one label")
    assert "add task=regression" in ended.err and not (tmp_path / "r").exists()


def test_a_validation_of_one_grade_is_refused_before_the_first_step(table, tmp_path, invoke):
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    seen = dict.fromkeys(GRADES, 0)
    for row in rows:
        seen[row["label"]] += 1
        held = "val" if row["label"] == "grey" else "test"
        row |= {"split": held if seen[row["label"]] <= 4 else "train", "path": str(table.parent / row["path"])}
    with open(tmp_path / "table.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "split"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    ended = invoke(
        "train", "task=ordinal", "data=table", f"data.table={tmp_path / 'table.csv'}", "data.root=/", *TINY,
        "data.classes=[dark,grey,bright]", f"run_dir={tmp_path / 'r'}",
    )  # fmt: skip
    assert ended.code == 2 and not (tmp_path / "r").exists()
    told = "error: every image of val has the grade 'grey', so there is no quadratic kappa to steer by"
    assert ended.err.strip().splitlines()[-1].startswith(told)
