import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.decision import DecisionSpec, certainties, defect_scores, pass_classes, tally, verdicts, words
from src.decision.apply import PASS, REVIEW
from src.spec import TaskSpec

CELL = TaskSpec("classification", ("bad", "good"), "bad")
GRADES = TaskSpec("ordinal", ("A", "B", "C"))
BAND = DecisionSpec(pass_classes=("good",), pass_below=(0.25,), reject_from=(0.5,))


def of(*defect):
    return np.array([[p, 1 - p] for p in defect], dtype=np.float32)


def test_three_verdicts_and_their_words():
    found = verdicts(CELL, BAND, of(0.1, 0.25, 0.4, 0.5, 0.9))
    assert found.dtype == np.int64 and words(found) == ["pass", "review", "review", "reject", "reject"]
    assert tally(found) == {"pass": 1, "reject": 2, "review": 2, "unknown": 0}


def test_a_stranger_loses_its_pass_and_nothing_else():
    spec = DecisionSpec(**vars(BAND) | {"strange_above": 2.0})
    found = verdicts(CELL, spec, of(0.1, 0.1, 0.1, 0.4, 0.9), [2.0, 2.5, np.inf, 9.0, 9.0])
    assert words(found) == ["pass", "unknown", "unknown", "review", "reject"]
    with pytest.raises(ValueError, match=r"give strangeness"):
        verdicts(CELL, spec, of(0.1))
    with pytest.raises(ValueError, match=r"1 of 1 strangeness are NaN"):
        verdicts(CELL, spec, of(0.1), [np.nan])
    with pytest.raises(ValueError, match=r"1 pictures and 2 values"):
        verdicts(CELL, spec, of(0.1), [1.0, 2.0])
    assert words(verdicts(CELL, BAND, of(0.1), [np.nan])) == ["pass"]  # nothing asks for it


def test_the_score_adds_up_what_may_not_pass():
    values = np.array([[0.1, 0.2, 0.7], [0.05, 0.15, 0.8]], dtype=np.float32)
    assert (defect_scores(values, "abc", ("a",)) == values[:, 1] + values[:, 2]).all()
    assert (defect_scores(values, "abc", ("a", "c")) == values[:, 1]).all()
    tiny = np.array([[1, 1e-12, 1e-12]], dtype=np.float32)
    assert defect_scores(tiny, "abc", ("a",))[0] == np.float32(1e-12) * 2
    spec = DecisionSpec(pass_classes=("A", "B"), pass_below=(0.75,), reject_from=(0.75,))
    assert words(verdicts(GRADES, spec, values)) == ["pass", "reject"]


def test_decisions_without_a_pass_class():
    spec = DecisionSpec(decide_from=0.5)
    values = np.array([[0.5, 0.25, 0.25], [0.4, 0.3, 0.3]], dtype=np.float32)
    assert verdicts(GRADES, spec, values).tolist() == [PASS, REVIEW] and certainties(values)[0] == 0.5


def test_a_number_against_limits():
    task = TaskSpec("regression", ("moisture",))
    spec = DecisionSpec(margin=0.5, limits=(1.0, 4.0))
    found = verdicts(task, spec, [[0.25], [0.75], [1.75], [3.25], [3.75], [4.75]])
    assert words(found) == ["reject", "review", "pass", "pass", "review", "reject"]
    wide = DecisionSpec(margin=2.0, limits=(1.0, 4.0))
    assert words(verdicts(task, wide, [-2, 0, 2.5, 5, 7])) == ["reject", "review", "review", "review", "reject"]
    open_side = DecisionSpec(margin=0.5, limits=(None, 4.0))
    assert words(verdicts(task, open_side, [-9e9, 3.75, 5.0])) == ["pass", "review", "reject"]


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20), st.floats(0, 1, width=32), st.floats(0, 1, width=32)
)
def test_the_verdict_is_that_of_the_comparisons(defect, low, high):
    low, high = sorted((low, high))
    spec = DecisionSpec(pass_classes=("good",), pass_below=(low,), reject_from=(high,))
    found = words(verdicts(CELL, spec, of(*defect)))
    assert found == ["pass" if p < low else "reject" if p >= high else "review" for p in defect]


def test_which_classes_may_pass():
    assert pass_classes(CELL) == ("good",) and pass_classes(GRADES, ["B", "A"]) == ("A", "B")
    with pytest.raises(ValueError, match=r"name the classes that may pass, .* of A, B, C"):
        pass_classes(GRADES)
    with pytest.raises(ValueError, match=r"'D' in pass_classes are no classes: choose from A, B, C"):
        pass_classes(GRADES, ["A", "D"])
    with pytest.raises(ValueError, match=r"nothing would be left to reject"):
        pass_classes(GRADES, ["A", "B", "C"])


@pytest.mark.parametrize(
    ("task", "spec", "outputs", "message"),
    [
        (CELL, DecisionSpec(), of(0.1), "no thresholds yet"),
        (CELL, BAND, [[np.nan, 0.5]], "1 pictures have probabilities that are NaN"),
        (CELL, BAND, [[0.5, 0.2, 0.3]], "pictures x 2"),
        (CELL, BAND, [[-3.0, 4.0]], "are they logits"),
        (CELL, BAND, np.zeros((0, 2)), "pictures x 2"),
        (GRADES, BAND, [[0.5, 0.2, 0.3]], "names 'good', which the task has not"),
        (CELL, DecisionSpec(decide_from=0.5), [[0.5, 0.2, 0.3]], "pictures x 2"),
        (TaskSpec("multilabel", ("a", "b")), DecisionSpec(decide_from=0.5), [[0.5, 0.2]], "another bundle"),
        (CELL, DecisionSpec(labels=("bad",), pass_below=(0.5,), reject_from=(0.5,)), of(0.1), "another bundle"),
        (CELL, DecisionSpec(margin=1.0, limits=(0.0, 1.0)), of(0.1), "another bundle"),
        (TaskSpec("regression", ("mass",)), BAND, [1.0], "another bundle"),
        (TaskSpec("regression", ("mass",)), DecisionSpec(margin=1.0, limits=(0.0, 1.0)), [np.nan], "NaN"),
    ],
)
def test_bad_input_gets_no_verdict(task, spec, outputs, message):
    with pytest.raises(ValueError, match=message):
        verdicts(task, spec, outputs)


def test_the_camera_applies_it_without_scipy():
    code = (
        "import sys; sys.modules.update(scipy=None, sklearn=None, torch=None)\n"
        "from src.decision import DecisionSpec, verdicts, words\n"
        "from src.spec import TaskSpec\n"
        "spec = DecisionSpec(pass_classes=('good',), pass_below=(0.5,), reject_from=(0.5,))\n"
        "print(words(verdicts(TaskSpec('classification', ('bad', 'good'), 'bad'), spec, [[0.25, 0.75]])))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['pass']"
