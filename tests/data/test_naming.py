import pytest

from src.data.naming import positive_class, split_of


@pytest.mark.parametrize(
    ("classes", "wanted", "positive"),
    [
        (("NG", "ok"), None, "NG"),
        (("cat", "dog"), None, "dog"),
        (("0", "1"), 0, "0"),
        (("a", "b"), "a", "a"),
        (("a", "b", "c"), None, None),
    ],
)
def test_the_defect_is_the_one_asked_for_or_known_by_name_or_the_last(classes, wanted, positive):
    assert positive_class(classes, wanted) == positive


def test_a_defect_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match=r"positive='c' must name one of two classes, and the classes are a, b"):
        positive_class(("a", "b"), "c")


def test_a_long_number_is_told_at_once_to_be_no_split():
    assert split_of("1" * 200 + "x") is None and split_of("dataset" * 30) is None
    assert split_of("1" * 200 + "_datasets_train") == "train"
