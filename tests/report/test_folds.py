import io
import json
import statistics
from dataclasses import replace

import pytest
from rich.console import Console
from scipy import stats

from src.report.folds import merge_folds, write_folds
from src.report.sweep_run import SweepRun


def run(fold, accuracy, error="", **overrides):
    test = {"accuracy": accuracy, "balanced_accuracy": accuracy - 0.1, "auroc": None}
    asked = {"data.folds": "3", "data.fold": str(fold), **overrides}
    return SweepRun(str(fold), asked, {} if error else {"test": test}, error, None if error else 3)


def test_mean_and_interval_are_students():
    values = [0.8, 0.9, 0.85]
    (merged,) = merge_folds([run(fold, value) for fold, value in enumerate(values)])
    low, high = stats.t.interval(0.95, 2, loc=statistics.mean(values), scale=stats.sem(values))
    assert merged.setting == "" and list(merged.figures) == [0, 1, 2]
    assert merged.mean["accuracy"] == pytest.approx(0.85)
    assert merged.interval["accuracy"] == pytest.approx((low, min(1.0, high)))
    assert "auroc" not in merged.mean  # undefined in a fold


def test_each_setting_is_merged_by_itself_and_failed_folds_are_left_out():
    runs = [run(fold, 0.5 + fold / 10, **{"lora.rank": rank}) for fold in range(3) for rank in ("4", "8")]
    runs[0] = run(0, 0.0, error="failed", **{"lora.rank": "4"})
    merged = merge_folds(runs)
    assert [(item.setting.split()[-1], list(item.figures)) for item in merged] == [
        ("lora.rank=4", [1, 2]),
        ("lora.rank=8", [0, 1, 2]),
    ]
    assert [item.missing for item in merged] == [[0], []]
    assert merged[0].coverage.startswith("Incomplete: fold 0 of 3 missing")
    assert merged[1].coverage == "Each image was in the test split of one fold."


def test_an_incomplete_set_does_not_claim_that_every_image_was_tested(tmp_path):
    out = io.StringIO()
    write_folds(tmp_path, merge_folds([run(0, 0.8), run(2, 0.9)]), Console(file=out, width=100))
    page, told = (tmp_path / "folds.html").read_text(), "fold 1 of 3 missing, whose images were never tested"
    assert told in page and told in out.getvalue() and "2 of 3" in page and "2 of 3" in out.getvalue()
    assert "Each image was" not in page and "All folds" not in page
    (content,) = json.loads((tmp_path / "folds.json").read_text())
    assert (content["count"], content["missing"]) == (3, [1])


def test_folds_of_an_unknown_number_claim_nothing():
    runs = [replace(run(fold, 0.8), folds=None) for fold in range(3)]
    assert merge_folds(runs)[0].coverage.startswith("No run says how many folds there are")


def test_other_sweeps_and_single_folds_are_not_merged():
    assert merge_folds([SweepRun("0", {"lora.rank": "4"}, {"test": {"accuracy": 1.0}})]) == []
    assert merge_folds([run(0, 0.9)]) == []


def test_the_page_the_file_and_the_terminal_hold_the_same_figures(tmp_path):
    merged = merge_folds([run(fold, value) for fold, value in enumerate([0.8, 0.9, 0.85])])
    out = io.StringIO()
    write_folds(tmp_path, merged, Console(file=out, width=100))
    (content,) = json.loads((tmp_path / "folds.json").read_text())
    assert content["mean"]["accuracy"] == pytest.approx(0.85) and set(content["folds"]) == {"0", "1", "2"}
    page = (tmp_path / "folds.html").read_text()
    assert "Each image was in the test split of one fold." in page and content["missing"] == []
    assert "85.0 %" in page and "90.0 %" in page and "http" not in page.replace("http-equiv", "")
    assert "85.0 % (" in out.getvalue()


def test_folds_that_all_agree_have_no_interval(tmp_path):
    (merged,) = merge_folds([run(fold, 1.0) for fold in range(3)])
    assert merged.mean["accuracy"] == 1.0 and "accuracy" not in merged.interval
    out = io.StringIO()
    write_folds(tmp_path, [merged], Console(file=out, width=100))
    assert "100.0 % (" not in out.getvalue() and "100.0 %" in out.getvalue()


def test_errors_have_no_upper_bound_and_r2_no_lower_one(tmp_path):
    tests = [{"r2": value, "mean_absolute_error": 5 - value, "pearson": 0.1} for value in (-3.0, 0.9)]
    runs = [replace(run(fold, 0.0), metrics={"test": test}) for fold, test in enumerate(tests)]
    (merged,) = merge_folds(runs)
    assert merged.interval["r2"][0] < -3 and merged.interval["r2"][1] == 1.0
    assert merged.interval["mean_absolute_error"][0] == 0.0 and merged.interval["mean_absolute_error"][1] > 8
    out = io.StringIO()
    write_folds(tmp_path, [merged], Console(file=out, width=100))
    assert "R\N{SUPERSCRIPT TWO}" in (tmp_path / "folds.html").read_text() and "accuracy" not in out.getvalue()
