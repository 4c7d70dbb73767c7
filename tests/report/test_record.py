import json

import pytest

from src.metrics import compute, intervals
from src.report.predictions import read_predictions
from src.report.record import measure, read_metrics, record
from tests.report.fakes import predictions


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
    assert set(figures) == {"val", "test", "intervals"}
    assert json.loads(json.dumps(figures))["val"] == figures["val"]


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_metrics_file_is_refused_by_name(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.json .*run train or evaluate again"):
        read_metrics(tmp_path / "metrics.json")
