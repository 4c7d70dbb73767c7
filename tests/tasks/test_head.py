import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from src.backbones import create_backbone
from src.tasks.head import _fit, features, fit_head, linear_head


def clusters(count=120, classes=3, size=8):
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(count) % classes
    centres = torch.randn(classes, size, generator=generator)
    return centres[targets] + torch.randn(count, size, generator=generator), targets


def entropy(logits, targets, weights=None):
    each = F.cross_entropy(logits, targets, reduction="none")
    return each.mean() if weights is None else (weights * each).mean()


def test_a_squared_error_gives_ridge_regression():
    generator = torch.Generator().manual_seed(0)
    x, values = torch.randn(60, 5, generator=generator), torch.randn(60, 1, generator=generator)
    weight, bias = _fit(x, values, 1, 0.1, lambda out, true, _: F.mse_loss(out, true))
    theirs = Ridge(alpha=0.1 * 60, tol=1e-8).fit(x.numpy(), values[:, 0].numpy())
    np.testing.assert_allclose(weight[0].numpy(), theirs.coef_, atol=1e-4)
    assert float(bias) == pytest.approx(float(theirs.intercept_), abs=1e-4)


def test_logistic_regression_is_scikit_learns():
    x, targets = clusters()
    weight, bias = _fit(x, targets, 3, penalty=0.01, loss=entropy)
    # ours: mean loss + penalty |w|^2; theirs: |w|^2 / 2 + C * sum of losses
    theirs = LogisticRegression(C=1 / (2 * 0.01 * len(x)), tol=1e-8, max_iter=2000).fit(x.numpy(), targets.numpy())
    np.testing.assert_allclose(weight.numpy(), theirs.coef_, atol=2e-3)
    gaps = bias - bias.mean()
    np.testing.assert_allclose(gaps.numpy(), theirs.intercept_ - theirs.intercept_.mean(), atol=2e-3)


def test_a_weight_counts_as_that_many_copies():
    x, targets = clusters(30)
    copies = 1 + torch.arange(30) % 3
    many = _fit(x.repeat_interleave(copies, 0), targets.repeat_interleave(copies), 3, penalty=0.01, loss=entropy)
    weighted = _fit(x, targets, 3, penalty=0.01, loss=entropy, weights=copies / copies.float().mean())
    for ours, theirs in zip(weighted, many, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)


def test_the_fitted_head_scores_what_it_says_on_raw_features():
    x, targets = clusters()
    x = x * 7 + 3  # the head must undo the standardisation it was fitted with
    head = nn.Linear(8, 3)
    score = fit_head(head, (x[:80], targets[:80]), (x[80:], targets[80:]), entropy, accuracy)
    assert score > 0.7
    assert float(accuracy(head(x[80:]).detach(), targets[80:])) == pytest.approx(score)


def test_a_feature_that_hardly_moves_in_training_is_left_out():
    x, targets = clusters()
    x = torch.cat([x, 1e-5 * torch.randn(len(x), 1), torch.ones(len(x), 1)], 1)
    head = nn.Linear(10, 3)
    fit_head(head, (x[:80], targets[:80]), (x[80:], targets[80:]), entropy, accuracy)
    assert head.weight[:, 8:].abs().max() == 0 and head.weight[:, :8].abs().max() > 0


def test_the_penalty_is_the_best_of_those_that_are_offered():
    torch.manual_seed(0)
    x = torch.randn(60, 200)  # more features than images: a weak penalty learns the noise
    targets = x[:, :1] + torch.randn(60, 1)
    scores = {}
    for penalties in ((1e-3,), (1e1,), (1e1, 1e-3)):
        sets = (x[:40], targets[:40]), (x[40:], targets[40:])
        scores[penalties] = fit_head(nn.Linear(200, 1), *sets, squared, r2, penalties=penalties)
    assert scores[1e1, 1e-3] == max(scores.values()) > min(scores.values())


def squared(logits, targets, weights):
    return (logits - targets).square().mean()


def r2(logits, targets):
    return 1 - (logits - targets).square().sum() / (targets - targets.mean()).square().sum()


def accuracy(logits, targets):
    return (logits.argmax(1) == targets).float().mean()


def test_features_are_what_reaches_the_head():
    model, _ = create_backbone("test_vit", "none", 3)
    images = torch.randn(4, 3, 160, 160)
    x, targets = features(
        model.train(), linear_head(model), [(images[:3], torch.tensor([0, 1, 2])), (images[3:], torch.tensor([1]))]
    )
    assert model.training and targets.tolist() == [0, 1, 2, 1]
    with torch.no_grad():
        expected = model.eval()(images)
        torch.testing.assert_close(model.head(x), expected)


def test_only_a_single_linear_layer_is_a_linear_head():
    assert linear_head(create_backbone("levit_128s", "none", 3)[0]) is None
    assert linear_head(nn.Sequential(nn.Linear(2, 2))) is None
