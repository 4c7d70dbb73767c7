import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as sklearn_metrics
from torchmetrics import MetricCollection

from src.tasks import MultilabelTask


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(60, 3, generator=generator), torch.randint(0, 2, (60, 3), generator=generator).float()


def test_the_loss_is_the_mean_binary_cross_entropy_smoothed_in_training_alone(make_task):
    task, (logits, labels) = make_task(MultilabelTask, "a", "b", "c", label_smoothing=0.2), batch()
    torch.testing.assert_close(task.loss(logits, labels), F.binary_cross_entropy_with_logits(logits, labels))
    smoothed = F.binary_cross_entropy_with_logits(logits, 0.8 * labels + 0.1)
    torch.testing.assert_close(task.loss(logits, labels, smooth=True), smoothed)
    weights = torch.rand(60)
    each = F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(1)
    torch.testing.assert_close(task.loss(logits, labels, weights), (weights * each).mean())


def test_metrics_are_scikit_learns(make_task):
    task, (logits, labels) = make_task(MultilabelTask, "a", "b", "c"), batch()
    metrics = MetricCollection(task.metrics())
    metrics.update(*task.scored(logits[:20], labels[:20]))
    metrics.update(*task.scored(logits[20:], labels[20:]))
    present, chances = (logits >= 0).int(), logits.sigmoid()
    expected = {
        "accuracy": float((present == labels).float().mean()),
        "exact_match": sklearn_metrics.accuracy_score(labels, present),
        "f1": sklearn_metrics.f1_score(labels, present, average="macro"),
        "auroc": sklearn_metrics.roc_auc_score(labels, chances),
        "average_precision": sklearn_metrics.average_precision_score(labels, chances),
    }
    values = metrics.compute()
    assert {name: float(values[name]) for name in expected} == pytest.approx(expected, abs=1e-5)
