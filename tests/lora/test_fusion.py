"""A ReLU is fused into a convolution only where nobody looks in between, so both modes show a hook the same."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from src.lora import inject, remove
from src.lora.fusion import fused_activation
from tests.lora.conftest import outputs, relative

X = torch.randn(2, 3, 9, 9)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 1)).eval()
    inject(model, rank=1)
    assert fused_activation(model[0]) == "ReLU"
    return model


HOOKS = {
    "forward": lambda module, seen: module.register_forward_hook(lambda m, args, y: seen.append(y.detach().clone())),
    "before": lambda module, seen: module.register_forward_pre_hook(lambda m, args: seen.append(args[0].clone())),
}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("kind", HOOKS)
def test_a_hook_sees_in_both_modes_what_it_sees_without_gradients(model, place, kind):
    seen, expected = [], outputs(model, X)
    handle = HOOKS[kind](model[place], seen)
    assert fused_activation(model[0]) is None
    assert relative(outputs(model, X), expected) <= 1e-5 and relative(model(X), expected) <= 1e-5
    assert relative(seen[1], seen[0]) <= 1e-5
    handle.remove()
    assert fused_activation(model[0]) == "ReLU" and relative(model(X), expected) <= 1e-5


def test_what_a_hook_keeps_is_not_changed_afterwards(model):
    for run in (outputs, lambda model, x: model(x).detach()):
        kept = []
        handle = model[0].register_forward_hook(lambda module, args, y, kept=kept: kept.append(y.detach()))
        run(model, X)
        handle.remove()
        assert kept[0].min() < 0


def test_what_a_hook_returns_counts_in_both_modes(model):
    model[0].register_forward_hook(lambda module, args, y: y - 1)
    assert relative(model(X), outputs(model, X)) <= 1e-5


def test_a_backward_hook_sees_the_gradient_before_the_relu(model):
    seen = []
    model[0].register_full_backward_hook(lambda module, grads, outs: seen.append(outs[0].clone()))
    norm = []
    model[2].register_forward_pre_hook(lambda module, args: norm.append(args[0].detach() > 0))
    model(X.clone().requires_grad_()).square().sum().backward()
    assert not seen[0][~norm[0]].any() and seen[0][norm[0]].any()


def test_a_hook_on_all_modules_counts(model):
    seen = []
    handle = register_module_forward_hook(lambda module, args, y: seen.append(float(y.detach().min())))
    try:
        outputs(model, X)
        model(X)
    finally:
        handle.remove()
    half = len(seen) // 2
    assert seen[:half] == pytest.approx(seen[half:], rel=1e-4) and min(seen[:half]) < 0


def test_copies_and_pickles_ask_their_own_modules(model):
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin[1].register_forward_pre_hook(lambda module, args: None)
        assert fused_activation(twin[0]) is None and fused_activation(model[0]) == "ReLU"


def test_remove_forgets_the_fusion(model):
    remove(model)
    assert fused_activation(model[0]) is None
