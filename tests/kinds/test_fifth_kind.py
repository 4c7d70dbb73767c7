"""A fifth kind of task is three files: counts, by Poisson regression, through the commands of a copy of the tree."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, TINY

pytestmark = pytest.mark.slow

KIND = '''
"""How many of something a picture shows."""

import numpy as np

from .regression import Regression


class Count(Regression):
    """The logit is the logarithm of the expected number."""

    name = "count"

    def standardise(self, values):
        super().standardise(values)  # all the same
        if min(values) < 0:
            raise ValueError(f"a count is 0 or more, not {min(values):g}: correct it, or add task=regression")
        return 0.0, 1.0

    def interpret(self, logits, task):
        return logits[:, :0], logits[:, 0].exp()

    def changed(self, before, after, task, most):
        return np.abs(np.log(after) - np.log(before)) > most


KIND = Count()
'''
TASK = '''
"""How many of something a picture shows."""

import torch.nn.functional as F

from .base import VisionTask


class CountTask(VisionTask):
    """Poisson regression."""

    kind = "count"
    penalties = (1e2, 1e1, 1e0, *VisionTask.penalties)

    def losses(self, logits, targets, smooth=False):
        return F.poisson_nll_loss(logits, targets, reduction="none").mean(1)
'''
CONFIG = """
defaults:
  - _shared
  - _self_

_target_: graft.tasks.count.CountTask
"""
DRIVER = """
import json, runpy, sys

for command, *overrides in json.loads(sys.argv.pop()):
    sys.argv = [f"src/{command}.py", *overrides]
    try:
        runpy.run_module(f"src.{command}", run_name="__main__")
    except SystemExit as end:
        if end.code:
            print(command, "ended with", end.code, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """The project with three more files, and no other one changed."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in ("src", "conf"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in {
        "src/kinds/count.py": KIND, "src/tasks/count.py": TASK, "conf/task/count.yaml": CONFIG, "drive.py": DRIVER,
    }.items():  # fmt: skip
        assert not (tree / name).exists()
        (tree / name).write_text(text)
    return tree


@pytest.fixture(scope="module")
def table(tree) -> Path:
    """60 plates that are the brighter the more grains they hold, and how many those are: 0 to 9."""
    folder, random = tree / "plates", np.random.default_rng(0)
    folder.mkdir()
    rows = [("path", "value")]
    for number in range(60):
        grains = number % 10
        pixels = random.normal(60 + 12 * grains, 8, (64, 64))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")
        rows.append((f"{number:02}.png", str(grains)))
    with open(folder / "table.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "table.csv"


def drive(tree, *commands):
    """Run commands one after the other in one process that begins in `tree`, and return what went to stderr."""
    call = [sys.executable, "drive.py", json.dumps(commands)]
    return subprocess.run(call, cwd=tree, capture_output=True, text=True, check=True).stderr


def test_a_fifth_kind_is_trained_judged_shipped_and_decided(tree, table):
    told = drive(
        tree,
        (
            "train",
            "task=count",
            "data=table",
            f"data.table={table}",
            *TINY,
            "trainer.max_epochs=2",
            "optimizer.lr=0.01",
            "run_dir=run",
        ),
        ("evaluate", "adapter=run"),
        ("export", "adapter=run"),
        ("predict", "model=run", f"input={table.parent}", "output=lines.jsonl"),
        ("predict", "model=run", f"input={table.parent}", "output=lines.csv"),
    )
    assert "ended with" not in told, told
    run = tree / "run"
    metrics = json.loads((run / "metrics.json").read_text())
    assert list(metrics["test"]) == ["mean_absolute_error", "root_mean_squared_error", "r2", "pearson"]
    assert metrics["val"]["r2"] > 0.5  # a random backbone sees brightness
    (judged,) = (run / "evaluations").glob("*/metrics.json")
    assert json.loads(judged.read_text())["test"] == metrics["test"]
    assert json.loads((run / "edge/manifest.json").read_text())["task"]["kind"] == "count"
    assert json.loads((run / "edge/parity.json").read_text())["score"] == "R2"
    page = (run / "report.html").read_text()
    assert "Largest errors" in page and "Decided over true values" in page

    with open(run / "predictions.csv", newline="") as file:
        rows = {Path(row["path"]).name: float(row["predicted"]) for row in csv.DictReader(file)}
    lines = [json.loads(line) for line in (tree / "lines.jsonl").read_text().splitlines()]
    said = {Path(line["path"]).name: line["value"] for line in lines}
    assert len(lines) == 60 and all(value > 0 for value in said.values())
    assert {name: said[name] for name in rows} == pytest.approx(rows, rel=1e-3)
    assert (tree / "lines.csv").read_text().splitlines()[0] == "path,value,ms,error"


def test_its_own_checks_and_its_name_reach_the_user(tree, table):
    text = table.read_text()
    (table.parent / "below.csv").write_text(text.replace(",1\n", ",-1\n"))
    told = drive(
        tree,
        ("train", "task=count", "data=table", f"data.table={table.parent / 'below.csv'}", *TINY),
        ("train", "data=table", f"data.table={table}", *TINY),
    )
    assert "error: a count is 0 or more, not -1" in told and "add task=count or task=regression" in told
    assert told.count("train ended with 2") == 2
