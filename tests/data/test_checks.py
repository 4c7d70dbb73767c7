from pathlib import Path

import pytest

from src.data import Sample
from src.data.checks import require_learnable, require_one_spelling, require_whole_groups


def test_a_class_that_no_training_image_has_is_refused():
    open_or_trained = [Sample(Path("1"), "a", "train"), Sample(Path("2"), "b"), Sample(Path("3"), "b", "val")]
    require_learnable(open_or_trained, "mend it")
    with pytest.raises(ValueError, match=r"class 'bb' is in test but not in train.*: mend it"):
        require_learnable([*open_or_trained, Sample(Path("4"), "bb", "test")], "mend it")


@pytest.mark.parametrize("first", ["train", None])
def test_a_group_in_two_splits_is_refused_and_an_open_split_is_train(first):
    samples = [Sample(Path("1"), "a", first, group="g"), Sample(Path("2"), "a", "test", group="g")]
    require_whole_groups([samples[0], Sample(Path("3"), "a", "train", group="g")], ["row 2", "row 3"])
    with pytest.raises(ValueError, match="group 'g' is in two splits, train in row 2 and test in row 3"):
        require_whole_groups(samples, ["row 2", "row 3"])


def test_long_numbers_that_differ_in_a_digit_are_two_classes():
    require_one_spelling(["123456789012345678", "123456789012345679"], "the table has")
    with pytest.raises(ValueError, match="one number in two spellings"):
        require_one_spelling(["123456789012345678", "123456789012345678.0"], "the table has")
