import numpy as np
import pytest

from src.report.history import read_history


def test_empty_cells_are_nan(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,train_loss,val_loss\n0,0.5,\n1,nan,0.25\n")
    history = read_history(tmp_path / "history.csv")
    assert list(history) == ["epoch", "train_loss", "val_loss"]
    assert np.array_equal(history["epoch"], [0, 1])
    assert np.array_equal(history["train_loss"], [0.5, np.nan], equal_nan=True)
    assert np.array_equal(history["val_loss"], [np.nan, 0.25], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "epoch column"),
        ("step,loss\n1,2\n", "epoch column"),
        ("epoch,loss\n1\n", "rows as long as its header"),
        ("epoch,loss\n1,low\n", "'low' where a number belongs"),
    ],
)
def test_a_wrong_history_is_refused_by_name(tmp_path, text, says):
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        read_history(path)
    assert str(path) in str(caught.value)
