import torch

from src.backbones.outputs import interpret
from src.spec import TaskSpec

LOGITS = torch.tensor([[2.0, 0.1, 1.9], [-1.0, 0.0, 3.0]])


def test_one_class():
    probabilities, decided = interpret(LOGITS, TaskSpec("classification", ("a", "b", "c")))
    assert torch.equal(probabilities, LOGITS.softmax(1)) and decided.tolist() == [0, 2]


def test_the_median_grade():
    probabilities, decided = interpret(LOGITS, TaskSpec("ordinal", ("a", "b", "c")))
    assert torch.equal(probabilities, LOGITS.softmax(1))
    assert decided.tolist() == [1, 2]  # of .48, .07, .44 the middle one is where half is reached
    certain = torch.tensor([[50.0, 0.0, 0.0], [0.0, 0.0, 50.0]])
    assert interpret(certain, TaskSpec("ordinal", ("a", "b", "c")))[1].tolist() == [0, 2]


def test_any_number_of_labels():
    probabilities, decided = interpret(LOGITS, TaskSpec("multilabel", ("a", "b", "c")))
    assert torch.equal(probabilities, LOGITS.sigmoid()) and decided.tolist() == [[1, 1, 1], [0, 1, 1]]


def test_a_value():
    probabilities, decided = interpret(torch.tensor([[1.0], [-2.0]]), TaskSpec("regression", ("t",), center=5, scale=3))
    assert probabilities.shape == (2, 0) and decided.tolist() == [8.0, -1.0]
