import sys

import pytest
import torch
from peft.tuners.lora import LoraLayer

from src.backbones import create_backbone
from src.benchmarks.methods import METHODS, floor, graft, peft, shared_layers
from src.benchmarks.trainee import Case, build
from src.lora import adapters, injection_of
from tests.lora.conftest import relative

MODELS = ("test_vit", "test_efficientnet")


def plain(name):
    return create_backbone(name, "none", 5, (64, 64))[0]


@pytest.mark.parametrize("name", MODELS)
def test_peft_and_graft_adapt_the_same_layers(name):
    model = plain(name)
    shared = shared_layers(model)
    theirs = peft(plain(name))
    adapted = [n.removeprefix("base_model.model.") for n, m in theirs.named_modules() if isinstance(m, LoraLayer)]
    assert sorted(adapted) == sorted(shared)
    assert [layer.name for layer in injection_of(graft(model)).layers] == shared
    head = theirs.base_model.model.get_classifier()
    assert all(parameter.requires_grad for parameter in head.parameters())


def test_peft_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match="pip install"):
        peft(plain("test_vit"))


@pytest.mark.parametrize("name", MODELS)
def test_all_methods_begin_with_the_same_function(name):
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = plain(name)(x)
        for method in METHODS.values():
            assert relative(method(plain(name)).eval()(x), expected) < 1e-5


def test_the_floor_takes_every_input_gradient_and_no_weight_gradient():
    model = floor(plain("test_efficientnet")).train()
    seen = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0].requires_grad}))
    before = [parameter.clone() for parameter in model.parameters()]
    model(torch.randn(2, 3, 64, 64)).sum().backward()
    assert seen.pop("conv_stem") is False and all(seen.values()) and len(seen) > 5
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, old) for value, old in zip(model.parameters(), before, strict=True))


def test_a_step_trains_what_it_says_and_clears_its_gradients():
    trainee = build(Case("test_efficientnet", "fp32", 2, 64), "graft")
    before = {name: value.clone() for name, value in trainee.model.named_parameters()}
    trainee.step()
    moved = {name for name, value in trainee.model.named_parameters() if not torch.equal(value, before[name])}
    trained = [parameter for parameter in trainee.model.parameters() if parameter.requires_grad]
    assert trainee.trainable_parameters() == sum(parameter.numel() for parameter in trained)
    assert {name for name, p in trainee.model.named_parameters() if p.requires_grad} >= moved
    assert len(moved) > len(list(adapters(trainee.model)))  # a B for each layer, and the head
    assert trainee.images.is_contiguous(memory_format=torch.channels_last)
    assert all(parameter.grad is None for parameter in trained)


def test_frozen_norms_are_in_eval_mode_for_peft_and_graft_alike():
    for method in ("peft", "graft"):
        model = METHODS[method](create_backbone("test_resnet", "none", 3)[0]).train()
        norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        assert norms and not any(norm.training for norm in norms), method
