import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from src.data import Sample
from src.metrics import compute, intervals
from src.report import formats
from src.report.results import measure, read_metrics, record, tabulate
from src.spec import TaskSpec
from tests.report.fakes import predictions, read_predictions


def test_figures_costs_and_rows_are_written_and_read_again(tmp_path):
    rows, costs = predictions(splits=("val", "test")), {"adapter_bytes": 7, "train_seconds": 1.5}
    metrics = record(tmp_path / "run" / "evaluation", rows, "bad", costs)
    folder = tmp_path / "run" / "evaluation"
    assert json.loads((folder / "metrics.json").read_text()) == json.loads(json.dumps(metrics))
    assert metrics == {**measure(rows, "bad"), **costs}
    again = read_predictions(folder / "predictions.csv", "classification")
    assert (again.paths, again.targets, again.predicted) == (rows.paths, rows.targets, rows.predicted)
    assert (again.probabilities == rows.probabilities).all()


def test_a_figure_that_is_no_number_is_null(tmp_path):
    record(tmp_path, predictions(splits=("val", "test")), "bad", {"train_seconds": float("nan")})
    text = (tmp_path / "metrics.json").read_text()
    assert "NaN" not in text and json.loads(text)["train_seconds"] is None


def test_measure_gives_each_split_its_own_figures_and_is_json():
    whole = predictions(images=90, splits=("val", "test", "val"))
    figures = measure(whole, "bad")
    assert figures["val"] == compute(whole.of("val"), "bad") and figures["test"] == compute(whole.of("test"), "bad")
    assert figures["intervals"]["test"] == intervals(whole.of("test"), "bad")
    assert set(figures) == {"val", "test", "intervals", "interval_units"}
    assert figures["interval_units"] == {"val": {"images": 60}, "test": {"images": 30}}
    assert json.loads(json.dumps(figures))["val"] == figures["val"]


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_metrics_file_is_refused_by_name(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.json .*run train or evaluate again"):
        read_metrics(tmp_path / "metrics.json")


def test_intervals_are_of_groups_where_they_are_known():
    rows = predictions(images=90, splits=("val", "test", "val"))
    grouped = replace(rows, groups=tuple(None if row == 1 else f"module{row // 30}" for row in range(90)))
    figures = measure(grouped, "bad")
    assert figures["interval_units"] == {"val": {"groups": 3}, "test": {"groups": 4}}
    assert figures["test"] == measure(rows, "bad")["test"]
    assert figures["intervals"]["test"] == intervals(rows.of("test"), "bad", groups=grouped.of("test").groups)
    assert figures["intervals"]["test"] != measure(rows, "bad")["intervals"]["test"]
    assert "over 4 groups" in formats.interval_unit(figures["interval_units"]["test"])


TASK = TaskSpec("classification", ("bad", "good"), "bad")


def test_rows_keep_the_order_of_splits_and_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    samples = {
        "val": [Sample(tmp_path / "in/a.png", "good")],
        "test": [Sample(Path("/out/b.png"), "bad", group="module7")] * 2,
    }
    logits = {"val": torch.tensor([[0.0, 1.0]]), "test": torch.tensor([[3.0, 1.0], [0.0, 0.5]])}
    rows = tabulate(logits, samples, TASK)
    assert rows.paths == ("in/a.png", "/out/b.png", "/out/b.png") and rows.splits == ("val", "test", "test")
    assert rows.targets == ("good", "bad", "bad") and rows.predicted == ("good", "bad", "good")
    expected = torch.cat(list(logits.values())).double().softmax(1).numpy()
    np.testing.assert_array_equal(rows.probabilities, expected)
    assert rows.groups == (None, "module7", "module7")


def test_labels_are_joined_in_the_order_of_the_classes():
    task = TaskSpec("multilabel", ("rust", "scab", "rot"))
    samples = {"val": [Sample(Path("/a"), "rot", labels=("rot", "rust")), Sample(Path("/b"), "(none)", labels=())]}
    rows = tabulate({"val": torch.tensor([[9.0, -9.0, 9.0], [-1.0, -1.0, -1.0]])}, samples, task)
    assert (rows.targets, rows.predicted, rows.kind) == (("rust|rot", ""), ("rust|rot", ""), "multilabel")
    np.testing.assert_allclose(rows.probabilities[1], 1 / (1 + np.e))


def test_values_are_in_the_unit_of_the_training():
    task = TaskSpec("regression", ("value",), center=10, scale=4)
    rows = tabulate({"val": torch.tensor([[0.5]])}, {"val": [Sample(Path("/a"), "9 to 11", value=11.5)]}, task)
    assert (rows.targets, rows.predicted, rows.probabilities.shape) == (("11.5",), ("12.0",), (1, 0))


def test_a_grade_is_the_median():
    task = TaskSpec("ordinal", ("low", "middle", "high"))
    rows = tabulate({"val": torch.tensor([[2.0, 0.1, 1.9]])}, {"val": [Sample(Path("/a"), "low")]}, task)
    assert rows.predicted == ("middle",)
