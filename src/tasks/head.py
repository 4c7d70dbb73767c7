"""Fit the head on frozen features before the backbone is trained: penalised logistic or ridge regression.

Linear probing first keeps the pretrained features from being distorted (LP-FT, Kumar et al., arXiv 2202.10054).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..lora.targets import classifiers

PENALTIES = (1e-1, 1e-2, 1e-3)
LEAST_SPREAD = 1e-3  # of the mean spread: a nearly constant feature is noise, and may change later
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def linear_head(model: nn.Module) -> nn.Linear | None:
    """Return the one linear classifier of a timm model, or None where there is another kind of head."""
    heads = classifiers(model)
    return heads[0] if len(heads) == 1 and isinstance(heads[0], nn.Linear) else None


@torch.no_grad()
def features(model: nn.Module, head: nn.Linear, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return what reaches the head (N x features) and the targets (N), for images that are normalised already."""
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, args: seen.append(args[0].float().cpu()))
    targets = []
    mode = model.training
    try:
        model.eval()
        for images, target in batches:
            model(images)
            targets.append(target.cpu())
    finally:
        hook.remove()
        model.train(mode)
    return torch.cat(seen), torch.cat(targets)


def fit_head(
    head: nn.Linear,
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    loss: Loss,
    score: Callable[[Tensor, Tensor], float],
    weights: Tensor | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> float:
    """Fit `head` in place, its penalty chosen on validation; return the validation score.

    With cross-entropy this is logistic regression, with a squared error ridge regression.

    Args:
        head: The linear classifier.
        train: Features (N x F) and targets (N, or N x outputs) to fit.
        val: The same, to choose the penalty.
        loss: Mean loss of logits, targets and weights.
        score: Of logits and targets; higher is better.
        weights: How much each of N counts in the fit, with mean 1; None is 1 for each.
        penalties: What to choose from, the strongest first.
    """
    mean, std = train[0].mean(0), train[0].std(0)
    # Infinite spread gives such a feature weight 0, without a case of its own below.
    std = torch.where(std > LEAST_SPREAD * std.mean(), std, torch.inf)
    best, chosen = -float("inf"), None
    for penalty in penalties:
        weight, bias = _fit((train[0] - mean) / std, train[1], head.out_features, penalty, loss, weights)
        # Fold the standardisation into the head, which gets raw features in training.
        weight, bias = weight / std, bias - (weight / std) @ mean
        value = float(score(F.linear(val[0], weight, bias), val[1]))
        if chosen is None or math.isnan(best) or value > best:  # a fit that diverged has no score
            best, chosen = value, (weight, bias)
    assert chosen is not None
    with torch.no_grad():
        head.weight.copy_(chosen[0])
        if head.bias is not None:
            head.bias.copy_(chosen[1])
    return best


def _fit(
    x: Tensor, targets: Tensor, outputs: int, penalty: float, loss: Loss, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    weight = torch.zeros(outputs, x.shape[1], requires_grad=True)
    bias = torch.zeros(outputs, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def penalised() -> Tensor:
        optimizer.zero_grad()
        value = loss(F.linear(x, weight, bias), targets, weights) + penalty * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(penalised)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
