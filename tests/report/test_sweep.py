import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from src.folders import SweepTable
from src.report.sweep import write_table
from src.report.sweep_run import read_runs

ROOT = Path(__file__).parents[2]
COSTS = {"trainable_parameters": 1000, "adapter_bytes": 412_000, "train_seconds": 61.0}


def add_run(folder, number, overrides, val=None, error=None, test=0.5):
    run = folder / str(number)
    run.mkdir(parents=True)
    (run / "overrides.json").write_text(json.dumps(["+experiment=defects", *overrides]))
    if error is not None:
        (run / "error.txt").write_text(error)
    else:
        figures = {"val": {"balanced_accuracy": val, "auroc": val}, "test": {"balanced_accuracy": test, "auroc": test}}
        (run / "metrics.json").write_text(json.dumps(figures | COSTS))


@pytest.fixture
def sweep(tmp_path):
    add_run(tmp_path, 0, ["lora.rank=4"], val=0.8, test=0.99)
    add_run(tmp_path, 1, ["lora.rank=8"], error="rank [8] is\nwrong | try 4\n")
    add_run(tmp_path, 2, ["lora.rank=16"], val=None)
    add_run(tmp_path, 10, ["lora.rank=32"], val=0.9, test=0.1)
    (tmp_path / "11").mkdir()
    (tmp_path / ".submitit").mkdir()
    (tmp_path / "multirun.yaml").touch()
    return tmp_path


def test_the_number_of_folds_is_that_of_the_runs_config(sweep):
    (sweep / "0/config.yaml").write_text("data:\n  folds: 5\n")
    (sweep / "2/config.yaml").write_text("data: {")
    runs = {run.name: run for run in read_runs(sweep)}
    assert (runs["0"].folds, runs["10"].folds) == (5, None)
    assert runs["2"].error and not runs["0"].error  # a broken file costs its own row alone


def test_the_best_on_validation_is_first_and_failures_are_last(sweep):
    runs = read_runs(sweep)
    assert [run.name for run in runs] == ["10", "0", "2", "1", "11"]
    assert runs[3].error == "rank [8] is wrong | try 4"
    assert "did not finish" in runs[4].error


def test_runs_csv_holds_every_figure(sweep):
    write_table(sweep, Console(file=io.StringIO(), width=100))
    with open(sweep / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["lora.rank"] for row in rows] == ["32", "4", "16", "8", ""]
    assert rows[0]["val_balanced_accuracy"] == "0.9" and rows[0]["test_auroc"] == "0.1"
    assert rows[0]["adapter_bytes"] == "412000" and rows[0]["error"] == ""
    assert rows[2]["val_balanced_accuracy"] == "" and rows[3]["error"] == "rank [8] is wrong | try 4"
    assert "experiment" not in rows[0]


def test_the_table_is_printed_once_and_without_test_figures(sweep, capsys):
    SweepTable().on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(sweep)}}}))
    text = capsys.readouterr().out
    assert text.count("val bal. acc.") == 1 and "90.0 %" in text and "412 kB" in text and "1 min 1 s" in text
    assert "[8]" in text and "99.0 %" not in text
    assert str(sweep / "runs.csv") in text


def test_runs_md_is_a_table_of_equal_rows(sweep):
    write_table(sweep, Console(file=io.StringIO(), width=100))
    lines = (sweep / "runs.md").read_text().splitlines()
    assert len(lines) == 2 + 5
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "wrong \\| try 4" in lines[5]


def test_a_broken_folder_is_a_row_too(tmp_path):
    add_run(tmp_path, 0, ["lora.rank=4"], val=0.8)
    add_run(tmp_path, 1, ["lora.rank=8"], val=0.9)
    (tmp_path / "1/metrics.json").write_text("{")
    add_run(tmp_path, 2, ["lora.rank=16"], val=0.9)
    (tmp_path / "2/overrides.json").write_text("{}")
    runs = read_runs(tmp_path)
    assert [run.name for run in runs] == ["0", "1", "2"]
    assert "metrics.json is not JSON" in runs[1].error and "list of overrides" in runs[2].error


@pytest.mark.slow
def test_hydra_calls_it_at_the_end_of_a_multirun(tmp_path):
    (tmp_path / "conf.yaml").write_text(
        "defaults: [_self_]\nrank: 1\nhydra:\n  sweep: {dir: 'sweeps/${now:%H%M%S%f}'}\n"
        "  callbacks: {table: {_target_: src.folders.SweepTable}}\n"
    )
    (tmp_path / "app.py").write_text(
        "import json, pathlib, hydra\n"
        "from hydra.core.hydra_config import HydraConfig\n"
        "@hydra.main(version_base='1.3', config_path='.', config_name='conf')\n"
        "def main(config):\n"
        "    run = pathlib.Path(HydraConfig.get().runtime.output_dir)\n"
        "    (run / 'overrides.json').write_text(json.dumps(list(HydraConfig.get().overrides.task)))\n"
        "    figures = {'balanced_accuracy': config.rank / 100}\n"
        "    (run / 'metrics.json').write_text(json.dumps({'val': figures}))\n"
        "main()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error::UserWarning", "app.py", "-m", "rank=31,77"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    (table,) = tmp_path.glob("sweeps/*/runs.csv")
    assert [row["rank"] for row in csv.DictReader(io.StringIO(table.read_text()))] == ["77", "31"]
    assert done.stdout.index("77.0 %") < done.stdout.index("31.0 %")
