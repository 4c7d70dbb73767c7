import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as sklearn_metrics
from torchmetrics import MetricCollection

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


def test_metrics_are_scikit_learns_on_the_median_grade(make_task):
    task = make_task(OrdinalTask, *GRADES)
    generator = torch.Generator().manual_seed(0)
    logits, grades = 2 * torch.randn(80, 4, generator=generator), torch.randint(0, 4, (80,), generator=generator)
    metrics = MetricCollection(task.metrics())
    metrics.update(*task.scored(logits[:30], grades[:30]))
    metrics.update(*task.scored(logits[30:], grades[30:]))
    median = (logits.softmax(1).cumsum(1) >= 0.5).int().argmax(1)
    assert (median != logits.argmax(1)).any()
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(grades, median),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(grades, median),
        "mean_absolute_error": sklearn_metrics.mean_absolute_error(grades, median),
        "quadratic_kappa": sklearn_metrics.cohen_kappa_score(grades, median, weights="quadratic"),
    }
    values = metrics.compute()
    assert {name: float(values[name]) for name in expected} == pytest.approx(expected, abs=1e-5)


def test_a_spread_of_nothing_is_refused(make_task):
    with pytest.raises(ValueError, match=r"task\.spread=0 must be above 0"):
        make_task(OrdinalTask, *GRADES, spread=0)
