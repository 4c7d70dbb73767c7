import json

from src.report.metrics import measure
from src.report.predictions import read_predictions
from src.report.record import record
from tests.report.fakes import predictions


def test_figures_costs_and_rows_are_written_and_read_again(tmp_path):
    rows, costs = predictions(splits=("val", "test")), {"adapter_bytes": 7, "train_seconds": 1.5}
    metrics = record(tmp_path / "run" / "evaluation", rows, "bad", costs)
    folder = tmp_path / "run" / "evaluation"
    assert json.loads((folder / "metrics.json").read_text()) == json.loads(json.dumps(metrics))
    assert metrics == {**measure(rows, "bad"), **costs}
    again = read_predictions(folder / "predictions.csv")
    assert (again.paths, again.targets, again.predicted) == (rows.paths, rows.targets, rows.predicted)
    assert (again.probabilities == rows.probabilities).all()
