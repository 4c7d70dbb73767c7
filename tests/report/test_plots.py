from xml.etree import ElementTree

import numpy as np
import pytest

from src.report.curves import roc
from src.report.plots import confusion_matrix, learning_curves, short

from .fakes import predictions

HOSTILE = ("<script>alert(1)</script>", "$\\frac{1}{2}$", "\u7f3a\u9677", "a & b]]>", "tab\there\0\udcff")
HISTORY = {
    "epoch": np.array([0.0, 1.0, 2.0]),
    "train_loss": np.array([0.9, 0.5, 0.4]),
    "val_loss": np.array([np.nan, 0.6, np.nan]),
    "val_auroc": np.array([np.nan] * 3),
}


def texts(svg):
    return {
        "".join(node.itertext()).strip() for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("text")
    }


def test_the_confusion_matrix_writes_counts_and_shares():
    drawn = texts(confusion_matrix(predictions(images=200)))
    assert {"good", "bad", "Target", "Decided"} <= drawn
    assert sum(int(text) for text in drawn if text.isdigit()) == 200


def test_the_learning_curves_leave_out_what_is_empty():
    drawn = texts(learning_curves(HISTORY, 1))
    assert {"Loss", "training", "validation", "epoch kept"} <= drawn
    assert not {"Validation score", "AUROC", "Learning rate"} & drawn
    assert "epoch kept" not in texts(learning_curves(HISTORY, None))
    assert learning_curves({"epoch": np.array([])}, None) == ""


def test_hostile_class_names_stay_text():
    svg = confusion_matrix(predictions(HOSTILE, 60))
    assert "<script" not in svg
    assert {"$\\frac{1}{2}$", "\u7f3a\u9677", "a & b]]>", "tab\ufffdhere\ufffd\ufffd"} <= texts(svg)


@pytest.mark.parametrize("classes", [31, 200])
def test_many_classes_are_drawn_as_one_picture(classes):
    svg = confusion_matrix(predictions(tuple(f"class {number}" for number in range(classes)), 300))
    assert "data:image/png;base64" in svg and len(svg) < 300_000
    assert texts(svg) == {"Target", "Decided"}


def test_the_same_numbers_give_the_same_bytes_without_date_or_double_ids():
    part = predictions(images=50)
    svg = confusion_matrix(part)
    assert svg == confusion_matrix(part)
    assert svg.startswith("<svg ") and 'role="img"' in svg.split(">")[0]
    assert "<metadata" not in svg and "matplotlib" not in svg.lower()
    ids = [node.get("id") for text in (svg, roc(part, "bad")) for node in ElementTree.fromstring(text).iter()]
    named = [name for name in ids if name]
    assert len(named) == len(set(named))


def test_short_cuts_long_names():
    assert short("functional") == "functional"
    assert short("x" * 40) == "x" * 15 + "\N{HORIZONTAL ELLIPSIS}"
