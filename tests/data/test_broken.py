from pathlib import Path

import pytest

from src.data.broken import require_readable, sort_out
from src.data.dataset_index import Sample

SAMPLES = [Sample(Path(f"{place}.png"), "ab"[place % 2], ("train", "val", "test")[place // 4]) for place in range(12)]


@pytest.mark.parametrize(
    ("on_error", "place", "stops"),
    [("auto", 0, False), ("auto", 4, True), ("auto", 8, True), ("skip", 8, False), ("stop", 0, True)],
)
def test_what_a_broken_image_does(on_error, place, stops, caplog):
    if stops:
        with pytest.raises(ValueError, match=rf"{place}\.png \(cut short\): repair or remove the files"):
            sort_out(SAMPLES, {place: "cut short"}, on_error)
    else:
        assert sort_out(SAMPLES, {place: "cut short"}, on_error) == [(Path(f"{place}.png"), "cut short")]
        assert "left out" in caplog.text


def test_a_class_without_a_readable_image_in_its_split_stops():
    with pytest.raises(ValueError, match=r"no image of class 'b' in test can be read"):
        require_readable(SAMPLES, {9: "empty", 11: "empty"})
    require_readable(SAMPLES, {9: "empty", 10: "empty"})


def test_many_are_counted_by_split_and_the_first_are_named():
    with pytest.raises(ValueError, match=r"2 of val and 2 of test: .*; \.\.\.: repair"):
        sort_out(SAMPLES, dict.fromkeys((4, 5, 8, 9), "empty"), "auto")


def test_of_a_lot_to_judge_one_readable_image_is_enough():
    samples = [Sample(Path(name), name, "test") for name in ("a", "b")]
    require_readable(samples, {0: "cut"}, each=False)
    for errors, each in (({0: "cut"}, True), ({0: "cut", 1: "cut"}, False)):
        with pytest.raises(ValueError, match=r"no image of class 'a' in test.* can be read"):
            require_readable(samples, errors, each)
