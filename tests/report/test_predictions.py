import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.report.predictions import Predictions, read_predictions, write_predictions

from .fakes import labels, predictions, values

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


HEADER = "path,split,target,predicted,p_a,p_b\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "first line must be"),
        ("path,split,target,p_a,p_b\n", "first line must be"),
        ("path,split,target,predicted,a,b\n", "first line must be"),
        ("path,split,target,predicted,p_a\nx,val,a,a,1\n", "at least two classes"),
        ("path,split,target,predicted,p_a,p_a\nx,val,a,a,.5,.5\n", "different names"),
        (HEADER, "has no rows"),
        (HEADER + "x,val,a,a,1\n", "row 1 has 5 columns in place of 6"),
        (HEADER + "x,val,a,a,1,0\ny,val,a,a,1,zero\n", "row 2 has 'zero'"),
        (HEADER + "x,dev,a,a,1,0\n", "split 'dev' is unknown"),
        (HEADER + "x,val,c,a,1,0\n", "target 'c' is unknown"),
        (HEADER + "x,val,a,c,1,0\n", "predicted 'c' is unknown"),
        (HEADER + "x,val,a,a,nan,0\n", "add up to 1"),
        (HEADER + "x,val,a,a,1.5,-0.5\n", "between 0 and 1"),
        (HEADER + "x,val,a,a,0.5,0.4\n", "add up to 1"),
        (HEADER + 'x,"val,a,a,1,0\n', "not a predictions file"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, text, says):
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        read_predictions(path, "classification")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one of each per image"):
        Predictions(("x", "y"), ("val",), ("a",), ("a",), np.array([[1.0, 0.0]]), ("a", "b"), "classification")


@pytest.mark.parametrize("rows", [labels(images=20), values(images=20)], ids=lambda rows: rows.kind)
def test_labels_and_values_come_back_bit_for_bit(tmp_path, rows):
    write_predictions(tmp_path / "p.csv", rows)
    again = read_predictions(tmp_path / "p.csv", rows.kind)
    assert (again.targets, again.predicted, again.classes, again.kind) == (
        rows.targets,
        rows.predicted,
        rows.classes,
        rows.kind,
    )
    assert np.array_equal(again.probabilities, rows.probabilities)
    header = (tmp_path / "p.csv").read_text().splitlines()[0]
    assert header == "path,split,target,predicted" + ("" if rows.kind == "regression" else ",p_rust,p_scab,p_rot")


def test_labels_and_values_that_are_none_are_refused(tmp_path):
    (tmp_path / "p.csv").write_text("path,split,target,predicted\na.png,val,1.5,much\n")
    with pytest.raises(ValueError, match="predicted must be a number"):
        read_predictions(tmp_path / "p.csv", "regression")
    (tmp_path / "p.csv").write_text("path,split,target,predicted,p_a,p_b\na.png,val,a|c,b,0.7,0.9\n")
    with pytest.raises(ValueError, match="target 'c' is unknown"):
        read_predictions(tmp_path / "p.csv", "multilabel")
