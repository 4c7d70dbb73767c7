import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from src.lora import adapters, inject, inputs_of, merge, remove


class Net(nn.Module):
    """Two norms, one with a dropout of its own, and a head."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.second, self.third = nn.Conv2d(8, 8, 3), BatchNormAct2d(8, drop_layer=nn.Dropout)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.drop(self.third(self.second(self.norm(self.conv(x)).relu())).mean((2, 3))))

    def get_classifier(self):
        return self.head


def modes(model):
    return {name: module.training for name, module in model.named_modules()}


@pytest.mark.parametrize("undo", [remove, merge])
@pytest.mark.parametrize("fold_norms", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("held", [(), ("norm",), ("norm", "third", "third.drop", "drop"), ("conv", "third.drop")])
def test_every_module_gets_the_mode_back_that_it_had(undo, fold_norms, training, held):
    model = Net().train(training)
    for name in held:
        model.get_submodule(name).training = not training
    before = modes(model)
    inject(model, rank=1, targets=["second"], fold_norms=fold_norms)
    assert not model.norm.training and not model.third.training
    undo(model)
    assert modes(model) == before


def test_a_norm_that_was_not_held_follows_the_model():
    model = Net().eval()
    inject(model, rank=1, targets=["second"])
    remove(model.train())
    assert model.norm.training and model.third.training
    inject(model, rank=1, targets=["second"])
    remove(model.eval())
    assert not any(modes(model).values())


def test_to_take_what_was_learnt_as_inputs_leaves_the_modes():
    model = Net().train()
    inject(model, rank=1, targets=["second"], dropout=0.5)
    inputs_of(model)
    assert all(adapter.training and adapter.dropout.training for _, _, adapter in adapters(model))
    assert torch.is_grad_enabled()
