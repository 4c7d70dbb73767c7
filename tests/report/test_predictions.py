import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.report.predictions import Predictions, write_predictions

from .fakes import labels, predictions, read_predictions, values

# any file name: text with line ends, quotes and commas, and the escapes that stand for bytes that are no UTF-8
NAMES = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\r\n",\udcff'), max_size=8)


def rows_equal(first, second):
    names = ("paths", "splits", "targets", "predicted", "classes")
    return all(getattr(first, name) == getattr(second, name) for name in names) and np.array_equal(
        first.probabilities, second.probabilities
    )


@settings(deadline=None, max_examples=150)
@given(
    st.lists(NAMES, min_size=2, max_size=4, unique=True), st.lists(NAMES, min_size=1, max_size=5), st.integers(0, 9999)
)
def test_a_written_file_reads_back_bit_for_bit(tmp_path_factory, classes, paths, seed):
    rows = predictions(tuple(classes), len(paths), seed, ("val", "test"), paths)
    path = tmp_path_factory.mktemp("run") / "predictions.csv"
    write_predictions(path, rows)
    assert rows_equal(read_predictions(path, "classification"), rows)


def test_the_file_is_what_other_readers_expect(tmp_path):
    write_predictions(tmp_path / "p.csv", predictions(("good", "bad"), 3))
    with open(tmp_path / "p.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "split", "target", "predicted", "p_good", "p_bad"]
    assert rows[0]["path"] == "images/0.png" and rows[0]["split"] == "test"
    assert float(rows[0]["p_good"]) + float(rows[0]["p_bad"]) == pytest.approx(1)


def test_of_and_take_keep_rows_together():
    rows = predictions(("a", "b", "c"), 9, splits=("train", "val", "test"))
    assert rows.of("val").paths == ("images/1.png", "images/4.png", "images/7.png")
    assert np.array_equal(rows.of("val").probabilities, rows.probabilities[[1, 4, 7]])
    assert len(rows.take([2, 2])) == 2
    assert [rows.classes[index] for index in rows.target_indices] == list(rows.targets)
    assert [rows.classes[index] for index in rows.predicted_indices] == list(rows.predicted)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"classes": ("a",), "probabilities": np.ones((1, 1))}, "at least two classes"),
        ({"classes": ("a", "a")}, "different names"),
        ({"splits": ("dev",)}, "split 'dev' is unknown"),
        ({"targets": ("c",)}, "target 'c' is unknown"),
        ({"predicted": ("c",)}, "predicted 'c' is unknown"),
        ({"probabilities": np.array([[np.nan, 0]])}, "add up to 1"),
        ({"probabilities": np.array([[1.5, -0.5]])}, "between 0 and 1"),
        ({"probabilities": np.array([[0.5, 0.4]])}, "add up to 1"),
    ],
)
def test_wrong_rows_are_refused(given, says):
    right = {"splits": ("val",), "targets": ("a",), "predicted": ("a",), "probabilities": np.array([[1.0, 0.0]])}
    with pytest.raises(ValueError, match=says) as caught:
        Predictions(**{"paths": ("x",), "classes": ("a", "b"), "kind": "classification", **right, **given})
    assert "\n" not in str(caught.value)


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one of each per image"):
        Predictions(("x", "y"), ("val",), ("a",), ("a",), np.array([[1.0, 0.0]]), ("a", "b"), "classification")


@pytest.mark.parametrize("rows", [labels(images=20), values(images=20)], ids=lambda rows: rows.kind)
def test_labels_and_values_come_back_bit_for_bit(tmp_path, rows):
    write_predictions(tmp_path / "p.csv", rows)
    again = read_predictions(tmp_path / "p.csv", rows.kind)
    assert (again.targets, again.predicted) == (rows.targets, rows.predicted)
    assert again.classes == rows.classes or rows.kind == "regression"
    assert np.array_equal(again.probabilities, rows.probabilities)
    header = (tmp_path / "p.csv").read_text().splitlines()[0]
    assert header == "path,split,target,predicted" + ("" if rows.kind == "regression" else ",p_rust,p_scab,p_rot")


def test_labels_and_values_that_are_none_are_refused():
    with pytest.raises(ValueError, match="predicted must be a number"):
        Predictions(("a.png",), ("val",), ("1.5",), ("much",), np.empty((1, 0)), ("sugar",), "regression")
    with pytest.raises(ValueError, match="target 'c' is unknown"):
        Predictions(("a.png",), ("val",), ("a|c",), ("b",), np.array([[0.7, 0.9]]), ("a", "b"), "multilabel")
