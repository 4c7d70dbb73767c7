import csv
from types import SimpleNamespace

import pytest

from src.tasks.head_start import HeadStart
from src.tasks.history import History
from tests.tasks.test_classification import task


def trainer(epoch, **scores):
    values = {"train/loss": 0.5, "val/loss": 0.5, "loss": 0.5} | scores
    return SimpleNamespace(
        current_epoch=epoch,
        callback_metrics=values,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1 / (epoch + 1)}])],
    )


def run(history, *epochs):
    for epoch in epochs:
        history.on_train_epoch_start(trainer(epoch), None)
        history.on_train_epoch_end(trainer(epoch, **{"val/auroc": 0.6 + epoch / 10}), None)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_head_alone_is_epoch_minus_one_without_the_loss_of_the_report(tmp_path):
    built = task()
    built.head_start = HeadStart({"balanced_accuracy": 0.75, "auroc": None, "loss": 0.3}, 0.0)
    history = History(tmp_path / "history.csv")
    history.on_train_start(trainer(0), built)
    run(history, 0)
    first, second = rows(history.path)
    assert (first["epoch"], first["val_score"], first["val_balanced_accuracy"]) == ("-1", "0.75", "0.75")
    assert first["val_loss"] == "" and second["val_loss"] == "0.5" and second["epoch"] == "0"


def test_every_epoch_is_a_row(tmp_path):
    path = tmp_path / "history.csv"
    run(History(path), 0, 1)
    assert [row["epoch"] for row in rows(path)] == ["0", "1"]
    assert [float(row["val_auroc"]) for row in rows(path)] == pytest.approx([0.6, 0.7])
    assert [float(row["learning_rate"]) for row in rows(path)] == pytest.approx([0.1, 0.05])
    assert list(rows(path)[0]) == ["epoch", "train_loss", "val_auroc", "val_loss", "learning_rate", "seconds"]
    assert [file.name for file in tmp_path.iterdir()] == ["history.csv"]


def test_a_resumed_training_goes_on_after_the_rows_of_its_checkpoint(tmp_path):
    first, second = History(tmp_path / "a.csv"), History(tmp_path / "b.csv")
    run(first, 0, 1)
    second.load_state_dict(first.state_dict())
    run(second, 2)
    assert [row["epoch"] for row in rows(tmp_path / "b.csv")] == ["0", "1", "2"]
    assert len(first.rows) == 2  # the state was a copy


def test_an_epoch_that_was_broken_off_inside_has_one_row_and_its_own_seconds(tmp_path):
    first, second = History(tmp_path / "a.csv"), History(tmp_path / "b.csv")
    run(first, 0, 1)
    second.load_state_dict(first.state_dict())
    second.on_train_start(trainer(1), None)
    second.on_train_epoch_end(trainer(1, **{"val/auroc": 0.9}), None)
    assert [row["epoch"] for row in rows(tmp_path / "b.csv")] == ["0", "1"]
    assert float(rows(tmp_path / "b.csv")[1]["val_auroc"]) == 0.9 and second.rows[1]["seconds"] < 60
