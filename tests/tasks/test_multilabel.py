import torch
import torch.nn.functional as F

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
