import pytest

from src.data.label_columns import names_of, read_label


def test_what_a_cell_says():
    assert read_label("row 2", "a b", "label").label == "a b"
    assert read_label("row 2", "b | a|b", "labels").labels == ("b", "a")
    assert read_label("row 2", "", "labels").labels == ()
    assert read_label("row 2", "-1e-3", "value").value == -0.001
    assert names_of(read_label("row 2", "b|a", "labels")) == ("b", "a")
    assert names_of(read_label("row 2", "b|a", "label")) == ("b|a",)


@pytest.mark.parametrize(
    ("cell", "column", "message"),
    [
        ("", "label", "row 2 has no label"),
        ("a||b", "labels", "row 2 has an empty label"),
        ("", "value", "row 2 has the value ''"),
        ("inf", "value", "row 2 has the value 'inf'"),
        ("-1e39", "value", "at most 3.4e38"),
        ("1,5", "value", "with a decimal point"),
        ("c", "label", "unknown label 'c': data.classes are aa, bb"),
        ("aa|ba", "labels", "unknown label 'ba'"),
    ],
)
def test_a_wrong_cell(cell, column, message):
    with pytest.raises(ValueError, match=message):
        read_label("row 2", cell, column, ("aa", "bb"))
