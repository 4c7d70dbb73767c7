import pytest
import torch

from src.backbones import create_backbone
from src.benchmarks.contenders import CONTENDERS, repeated
from src.benchmarks.methods import shared_layers
from src.lora import injection_of
from src.lora.targets import select


@pytest.mark.parametrize(("name", "word"), [("test_vit", "attention"), ("test_efficientnet", "conv")])
def test_attention_is_adapted_where_there_is_any(name, word):
    model = create_backbone(name, "none", 3)[0]
    expected = [site.name for site in select(model, word)]
    contender = CONTENDERS["graft_attention"]
    contender.adaptation.prepare(model)
    assert [layer.name for layer in injection_of(model).layers] == expected and contender.targets(model) == word


@pytest.mark.parametrize(("name", "same"), [("test_efficientnet", True), ("test_convnext", False), ("test_vit", False)])
def test_a_method_repeats_another_where_they_adapt_the_same_layers(name, same):
    assert repeated(name) == ({"graft_attention": "graft_all"} if same else {})


@pytest.mark.parametrize(
    ("method", "targets"), [("full", None), ("head", None), ("graft", "dense"), ("graft_all", "all"), ("peft", None)]
)
def test_each_says_what_it_adapts_and_can_be_undone(method, targets):
    model = create_backbone("test_efficientnet", "none", 3)[0]
    keys, contender = list(model.state_dict()), CONTENDERS[method]
    contender.adaptation.prepare(model)
    assert contender.targets(model) == targets
    assert list(contender.undo(model).state_dict()) == keys


def test_graft_dora_and_peft_adapt_the_same_layers():
    shared = shared_layers(create_backbone("test_efficientnet", "none", 3)[0])
    for method in ("graft", "dora"):
        model = create_backbone("test_efficientnet", "none", 3)[0]
        CONTENDERS[method].adaptation.prepare(model)
        assert [layer.name for layer in injection_of(model).layers] == shared
    rates = {CONTENDERS[method].learning_rate for method in CONTENDERS if method not in ("full", "head")}
    assert len(rates) == 1


def test_full_fine_tuning_trains_every_weight_on_the_statistics_it_came_with():
    model = create_backbone("test_efficientnet", "none", 3)[0]
    CONTENDERS["full"].adaptation.prepare(model)
    model.train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert before and all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
