from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from src.data.categories import by_range, by_rarest, require_unlike
from src.data.dataset_index import Sample


def test_the_rarest_label_decides():
    given = [("a",), ("a", "b"), *[()] * 8, ("c", "b", "a"), ("a", "b")]
    cut = by_rarest([Sample(Path(str(place)), "", labels=labels) for place, labels in enumerate(given)])
    assert [each.label for each in cut] == ["a", "b", *["(none)"] * 8, "c", "b"]
    assert [each.labels for each in cut] == given
    assert [each.label for each in by_rarest([each for each in cut[:3]])] == ["a", "b", "a"]  # too few for every split


def test_ranges_hold_about_as_many_values_each_and_do_not_overlap():
    values = np.random.default_rng(0).permutation(100) / 10
    cut = by_range([Sample(Path(str(value)), "", value=float(value)) for value in values])
    groups = {label: sorted(each.value for each in cut if each.label == label) for label in {e.label for e in cut}}
    assert sorted(map(len, groups.values())) == [20] * 5
    ordered = sorted(groups.values())
    assert all(low[-1] < high[0] for low, high in pairwise(ordered))
    assert {f"{each[0]:g} to {each[-1]:g}" for each in ordered} == set(groups)


def test_a_level_is_never_cut_and_rare_ones_join_their_neighbours():
    values = [0.0] * 60 + [1 / 3] * 12 + [2 / 3] * 4 + [1.0] * 30
    cut = by_range([Sample(Path(str(place)), "", value=value) for place, value in enumerate(values)])
    of = {each.value: each.label for each in cut}
    assert of == {0.0: "0", 1 / 3: "0.333333 to 0.666667", 2 / 3: "0.333333 to 0.666667", 1.0: "1"}
    assert all(each.label == of[each.value] for each in cut)


def test_equal_values_are_one_range_and_refused_where_they_are_to_be_learnt():
    equal = [Sample(Path("0"), "", value=2.0), Sample(Path("1"), "", value=2.0)]
    assert {sample.label for sample in by_range(equal)} == {"2"}
    with pytest.raises(ValueError, match="every value is 2"):
        require_unlike(equal)
