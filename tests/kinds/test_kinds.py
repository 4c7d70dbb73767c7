"""What each kind of task makes of logits, truths and decisions."""

import numpy as np
import pytest
import torch

from src.kinds import KINDS, find_kind, names_that_learn, read_task, require_task
from src.spec import Decision, Measurement, TaskSpec

LOGITS = torch.tensor([[2.0, 0.1, 1.9], [-1.0, 0.0, 3.0]])
THREE = ("a", "b", "c")
VALUE = TaskSpec("regression", ("t",), center=5, scale=3)


def test_there_are_four_kinds_and_each_is_found_by_its_name():
    assert set(KINDS) == {"classification", "ordinal", "multilabel", "regression"}
    assert all(find_kind(name).name == name for name in KINDS)
    assert names_that_learn("label") == ["classification", "ordinal"] and names_that_learn("value") == ["regression"]
    with pytest.raises(ValueError, match="unknown task kind 'poetry': choose one of classification, "):
        find_kind("poetry")


def test_every_kind_is_scored_by_a_figure_that_it_has():
    for kind in KINDS.values():
        assert {*kind.headline, kind.gate_score} <= {*kind.metrics} and kind.score == kind.headline[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "poetry"}, "unknown task kind"),
        ({"kind": {"ordinal": 1}}, "unknown task kind {'ordinal': 1}"),
        ({"classes": ("a",)}, "at least two classes"),
        ({"classes": ("a", "a")}, "different names"),
        ({"kind": "multilabel", "classes": ("a|b", "c")}, "may not hold '|'"),
        ({"kind": "regression"}, "regression has one quantity"),
        ({"kind": "regression", "classes": ("t",), "scale": 0.0}, "a scale above 0"),
        ({"kind": "regression", "classes": ("t",), "center": float("nan")}, "a finite center"),
    ],
)
def test_a_task_that_its_kind_cannot_have_is_refused(options, message):
    task = TaskSpec(**{"kind": "classification", "classes": ("a", "b"), **options})
    for check in (require_task, lambda task: read_task(task.to_dict())):
        with pytest.raises(ValueError) as caught:
            check(task)
        assert message in str(caught.value)


def test_one_class():
    probabilities, decided = find_kind("classification").interpret(LOGITS, TaskSpec("classification", THREE))
    assert torch.equal(probabilities, LOGITS.softmax(1)) and decided.tolist() == [0, 2]


def test_the_median_grade():
    task, kind = TaskSpec("ordinal", THREE), find_kind("ordinal")
    probabilities, decided = kind.interpret(LOGITS, task)
    assert torch.equal(probabilities, LOGITS.softmax(1))
    assert decided.tolist() == [1, 2]  # of .48, .07, .44 the middle one is where half is reached
    certain = torch.tensor([[50.0, 0.0, 0.0], [0.0, 0.0, 50.0]])
    assert kind.interpret(certain, task)[1].tolist() == [0, 2]


def test_any_number_of_labels():
    probabilities, decided = find_kind("multilabel").interpret(LOGITS, TaskSpec("multilabel", THREE))
    assert torch.equal(probabilities, LOGITS.sigmoid()) and decided.tolist() == [[1, 1, 1], [0, 1, 1]]


def test_a_value():
    probabilities, decided = find_kind("regression").interpret(torch.tensor([[1.0], [-2.0]]), VALUE)
    assert probabilities.shape == (2, 0) and decided.tolist() == [8.0, -1.0]


@pytest.mark.parametrize(
    ("kind", "texts", "arrays"),
    [
        ("classification", ["b", "a"], [1, 0]),
        ("ordinal", ["c", "c"], [2, 2]),
        ("multilabel", ["a|c", "", "b"], [[1, 0, 1], [0, 0, 0], [0, 1, 0]]),
        ("regression", ["1.5", "-2.0"], [1.5, -2.0]),
    ],
)
def test_text_becomes_an_array_and_text_again(kind, texts, arrays):
    own = find_kind(kind)
    encoded = own.encode(texts, THREE)
    assert encoded.tolist() == arrays
    assert [str(own.decode(each, THREE)) for each in encoded] == texts
    assert [str(own.decode(each, THREE)) for each in torch.from_numpy(encoded)] == texts


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("classification", "d", "'d' is unknown: it must be one of a, b, c"),
        ("multilabel", "a|d", "'d' is unknown"),
        ("regression", "much", "must be a number: "),
        ("regression", "nan", "'nan' is no finite number"),
    ],
)
def test_text_that_is_no_truth_is_refused(kind, text, message):
    with pytest.raises(ValueError, match=message):
        find_kind(kind).encode([text], THREE)


def test_what_the_camera_is_told():
    row = np.array([0.5, 0.25, 0.125], np.float32)  # exact in float32
    by_name = {"a": 0.5, "b": 0.25, "c": 0.125}
    for kind, decision, expected in (
        ("classification", np.int64(1), Decision("b", 0.25, by_name)),
        ("ordinal", np.int64(2), Decision("c", 0.125, by_name)),
        ("multilabel", np.array([1, 0, 0]), Decision("a", 0.5, by_name)),
        ("multilabel", np.array([1, 0, 1]), Decision("a|c", 0.125, by_name)),
        ("multilabel", np.array([0, 0, 0]), Decision("", 0.5, by_name)),
    ):
        assert find_kind(kind).answer(row, decision, TaskSpec(kind, THREE)) == expected
    assert find_kind("regression").answer(row[:0], np.float32(2.5), VALUE) == Measurement(2.5)
    assert Decision("", 0.5, {}).text == "no label 0.500" and Measurement(0.123456).text == "0.1235"


def test_what_counts_as_another_decision():
    one, several = TaskSpec("classification", THREE), TaskSpec("multilabel", ("a", "b"))
    assert find_kind(one.kind).changed(np.array([0, 1]), np.array([0, 2]), one, 0.0).tolist() == [False, True]
    before, after = np.array([[1, 0], [1, 0]]), np.array([[1, 0], [1, 1]])
    assert find_kind(several.kind).changed(before, after, several, 0.0).tolist() == [False, True]
    moved = find_kind(VALUE.kind).changed(np.array([5.0, 5.0]), np.array([5.1, 5.5]), VALUE, 0.1)
    assert moved.tolist() == [False, True]  # 0.1 of a logit is 0.3


def test_the_margin_to_the_next_decision_is_what_counts():
    rows = np.array([[0.34, 0.33, 0.33], [0.5, 0.25, 0.25]], dtype=np.float32)
    for kind, expected in (("classification", [0.01, 0.25]), ("ordinal", [0.16, 0.0]), ("multilabel", [0.16, 0.0])):
        assert find_kind(kind).certainty(rows).tolist() == pytest.approx(expected, abs=1e-6)
    assert find_kind("regression").certainty(rows[:, :0]).tolist() == [0.0, 0.0]
