"""The suite by its command, on tiny models: every row is there, and its figures agree with each other."""

import json
import os
import re

import pytest

from src.benchmarks.measure import peak_memory
from src.benchmarks.methods import METHODS
from src.benchmarks.step import COMPARED, REFERENCES, _compare
from src.benchmarks.trainee import Case, build

TINY = ("suite=step", "steps=1", "batch=2", "image_size=64")


@pytest.fixture
def quick(monkeypatch):
    """Weigh memory in this process, where no library has to be loaded again; test_measure has the real way."""
    peaks = iter(range(1_000, 100_000, 1_000))

    class Here:
        def submit(self, function, *args):
            if function is peak_memory:
                build(*args)
                self.answer = {"peak_rss_above_start_bytes": next(peaks)}
            else:
                self.answer = function(*args)
            return self

        def result(self):
            return self.answer

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr("src.benchmarks.measure.fresh_processes", Here)


def measured(invoke, folder, *overrides):
    ended = invoke("benchmark", *TINY, f"output={folder}", *overrides)
    assert ended.code == 0, ended.err
    return json.loads((folder / "benchmark.json").read_text()), ended.out


def test_every_method_on_every_model_has_a_row_whose_ratios_are_quotients(quick, invoke, tmp_path):
    result, shown = measured(invoke, tmp_path, "models=[test_vit,test_efficientnet]")
    rows = {(row["model"], row["precision"], row["method"]): row for row in result["rows"]}
    models = ("test_vit", "test_efficientnet")
    assert list(rows) == [(m, p, method) for m in models for p in ("fp32", "bf16") for method in METHODS]
    for (model, precision, _), row in rows.items():
        assert row["suite"] == "step" and row["step_seconds"] > 0 and row["batch"] == 2
        for figure, name in COMPARED.items():
            for reference in REFERENCES if figure in row else ():
                whole = rows[model, precision, reference][figure]
                assert row[f"{name}_to_{reference}"] == pytest.approx(row[figure] / whole)
    for precision in ("fp32", "bf16"):
        saved = {method: rows["test_efficientnet", precision, method]["saved_activation_bytes"] for method in METHODS}
        assert saved["graft"] < saved["full"] and saved["head"] < saved["floor"]
    assert {"cpu", "flags", "threads", "torch", "load", "has_bf16"} <= set(result["machine"]) and result["notes"]
    page = (tmp_path / "benchmark.md").read_text()
    assert page.count("| test_vit |") == 2 * len(METHODS) and all(method in shown for method in METHODS)
    assert max(map(len, shown.splitlines()[:-1])) <= 100


def test_a_method_that_fails_is_a_row_and_the_rest_go_on(quick, invoke, tmp_path, monkeypatch):
    def broken(model):
        raise RuntimeError("cannot adapt\nthis")

    monkeypatch.setitem(METHODS, "peft", broken)
    result, shown = measured(invoke, tmp_path, "models=[test_vit]", "precisions=[fp32]", "methods=[full,peft,head]")
    full, peft, head = result["rows"]
    assert peft["error"] == "cannot adapt this" and "step_seconds" not in peft
    assert head["ratio_to_full"] == head["step_seconds"] / full["step_seconds"] and "ratio_to_peft" not in head
    assert (
        "test_vit, peft, fp32: cannot adapt this" in shown
        and "cannot adapt this" in (tmp_path / "benchmark.md").read_text()
    )


@pytest.mark.slow
def test_a_killed_process_is_a_row_too(monkeypatch):
    monkeypatch.setattr("src.benchmarks.step.peak_memory", _die)
    first, second = _compare(Case("test_vit", "fp32", 2, 64), ("full", "head"), 1)
    assert "terminated abruptly" in first["error"] and "terminated abruptly" in second["error"]


def _die(*args):
    os._exit(9)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("suite=stpe", "suite=stpe is unknown: choose from "),
        ("models=[resnet5]", "near names: .*resnet50"),
        ("methods=[graft,lora]", "methods=lora is unknown: choose from full, "),
        ("precisions=[fp8]", "choose from fp32, bf16"),
        ("steps=0", "steps=0: give a whole number of at least 1"),
        ("batch=half", "batch='half'"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_measured(invoke, tmp_path, override, message):
    ended = invoke("benchmark", *TINY, f"output={tmp_path / 'out'}", override)
    assert ended.code == 2 and not (tmp_path / "out").exists()

    assert re.search(message, ended.err), ended.err
