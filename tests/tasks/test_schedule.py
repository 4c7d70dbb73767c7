import math

import pytest
import torch

from src.tasks import warmup_cosine


def rates(total, **options):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = warmup_cosine(optimizer, total, **options)
    seen = []
    for _ in range(total):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_rises_then_falls_along_a_cosine():
    seen = rates(100, warmup=0.1, floor=0.1)
    assert seen[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert seen[10] == pytest.approx(2.0)
    assert seen[55] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 2))))
    assert seen[-1] == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("total", "expected"), [(1, [2.0]), (2, [2.0, 2.0]), (3, [2.0, 2.0, 1.0])])
def test_short_trainings_rise_in_one_step_and_fall_in_the_rest(total, expected):
    assert rates(total) == pytest.approx(expected)


@pytest.mark.parametrize("options", [{"warmup": -0.1}, {"warmup": 2}, {"floor": float("nan")}])
def test_a_part_that_is_none_is_refused(options):
    with pytest.raises(ValueError, match="parts from 0 to 1"):
        rates(10, **options)
