from pathlib import Path

import numpy as np
import torch

from src.data import Sample
from src.report.judge import tabulate
from src.spec import TaskSpec

TASK = TaskSpec("classification", ("bad", "good"), "bad")


def test_rows_keep_the_order_of_splits_and_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    samples = {"val": [Sample(tmp_path / "in/a.png", "good")], "test": [Sample(Path("/out/b.png"), "bad")] * 2}
    logits = {"val": torch.tensor([[0.0, 1.0]]), "test": torch.tensor([[3.0, 1.0], [0.0, 0.5]])}
    rows = tabulate(logits, samples, TASK)
    assert rows.paths == ("in/a.png", "/out/b.png", "/out/b.png") and rows.splits == ("val", "test", "test")
    assert rows.targets == ("good", "bad", "bad") and rows.predicted == ("good", "bad", "good")
    expected = torch.cat(list(logits.values())).double().softmax(1).numpy()
    np.testing.assert_array_equal(rows.probabilities, expected)


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
