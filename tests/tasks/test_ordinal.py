import pytest
import torch
import torch.nn.functional as F

from src.tasks import OrdinalTask

GRADES = ("low", "middle", "high", "top")


def test_training_aims_beside_the_grade_and_validation_at_it(make_task):
    task = make_task(OrdinalTask, *GRADES, spread=0.5)
    logits, grades = torch.randn(3, 4), torch.tensor([0, 2, 3])
    assert torch.equal(task.losses(logits, grades), F.cross_entropy(logits, grades, reduction="none"))
    near = (-(torch.arange(4.0) - grades[:, None]).abs() / 0.5).softmax(1)
    expected = F.cross_entropy(logits, near, reduction="none")
    torch.testing.assert_close(task.losses(logits, grades, smooth=True), expected)
    torch.testing.assert_close(task.losses(logits, F.one_hot(grades, 4).float(), smooth=True), expected)


def test_a_far_miss_costs_more_than_a_near_one(make_task):
    task = make_task(OrdinalTask, *GRADES)
    near, far = torch.tensor([[0.0, 9.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0, 9.0]])
    grade = torch.tensor([0])
    assert task.losses(near, grade, smooth=True) < task.losses(far, grade, smooth=True)


def test_a_spread_of_nothing_is_refused(make_task):
    with pytest.raises(ValueError, match=r"task\.spread=0 must be above 0"):
        make_task(OrdinalTask, *GRADES, spread=0)
