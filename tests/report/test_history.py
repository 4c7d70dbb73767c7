import numpy as np

from src.report.history import columns


def test_what_a_row_lacks_is_nan():
    history = columns([{"epoch": -1, "val_loss": 0.25}, {"epoch": 0, "train_loss": 0.5}])
    assert list(history) == ["epoch", "val_loss", "train_loss"]
    assert np.array_equal(history["epoch"], [-1, 0])
    assert np.array_equal(history["val_loss"], [0.25, np.nan], equal_nan=True)
    assert np.array_equal(history["train_loss"], [np.nan, 0.5], equal_nan=True)
