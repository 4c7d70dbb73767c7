import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as sklearn_metrics

from src.tasks import RegressionTask


def test_the_loss_is_in_standard_deviations(make_task):
    task = make_task(RegressionTask, "value", center=10.0, scale=4.0, delta=1.0)
    logits, values = torch.randn(5, 1), torch.tensor([[10.0], [14.0], [2.0], [11.0], [30.0]])
    expected = F.huber_loss(4 * logits + 10, values, reduction="none", delta=4.0)[:, 0] / 16
    torch.testing.assert_close(task.losses(logits, values), expected)


@pytest.mark.parametrize(("center", "scale"), [(0.002, 0.001), (10_000.0, 1.0), (100_000.0, 5.0)])
def test_what_steers_the_training_does_not_depend_on_the_unit(make_task, center, scale):
    task = make_task(RegressionTask, "value", center=center, scale=scale)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(300, 1, generator=generator)
    near = logits + 0.5 * torch.randn(300, 1, generator=generator)
    expected = sklearn_metrics.r2_score(near[:, 0], logits[:, 0])
    assert float(task._score(logits, center + scale * near)) == pytest.approx(expected, abs=0.01)
