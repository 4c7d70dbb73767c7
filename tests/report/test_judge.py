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
