import copy

import pytest
import torch
from torch import nn

from src.lora import inject, load_adapter, merge, remove, save_adapter
from src.lora.targets import sites
from tests.lora.conftest import dense_gradients, gradients, outputs, relative, stir


class Tied(nn.Module):
    """One parameter under two layers, one layer under two names, and a norm after either tied convolution."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Conv2d(6, 6, 3, padding=1, bias=False) for _ in range(2))
        self.second.weight = self.first.weight
        self.norm1, self.norm2 = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
        for norm in (self.norm1, self.norm2):
            norm.running_var.uniform_(0.5, 2)
        self.mix = nn.Linear(6, 6)
        self.again = self.mix
        self.out = nn.Linear(6, 6)
        self.out.weight = self.mix.weight
        self.untied = nn.Linear(6, 6)

    def forward(self, x):
        x = self.norm2(self.second(self.norm1(self.first(x)).relu())).mean((2, 3))
        return self.untied(self.out(self.again(self.mix(x).relu())))


@pytest.fixture
def case():
    torch.manual_seed(0)
    return Tied().eval(), torch.randn(2, 6, 8, 8)


def test_a_tied_weight_gets_one_adapter_and_every_invariant(case, tmp_path):
    pristine, x = case
    model, before = copy.deepcopy(pristine), outputs(pristine, x)
    injection = inject(model, rank=2)
    assert [layer.name for layer in injection.layers] == ["first", "mix", "untied"] and injection.folded == 0
    assert torch.equal(outputs(model, x), before)
    assert model.second.weight_adapter is model.first.weight_adapter
    stir(model)
    fast, trained = gradients(model, x), outputs(model, x)
    for name, gradient in dense_gradients(model, x).items():
        assert gradient.abs().max() > 0 and relative(fast[name], gradient) <= 1e-5
    loaded = copy.deepcopy(pristine)
    load_adapter(save_adapter(tmp_path / "tied.safetensors", model), loaded)
    assert torch.equal(outputs(loaded, x), trained)
    assert relative(outputs(merge(loaded), x), trained) <= 1e-5
    remove(model)
    for plain in (model, loaded):
        assert plain.second.weight is plain.first.weight and plain.out.weight is plain.mix.weight
    assert torch.equal(outputs(model, x), before)


def test_a_weight_that_something_else_reads_too_is_no_site():
    model = nn.ModuleDict({"embed": nn.Embedding(9, 6), "read": nn.Linear(6, 9), "mix": nn.Linear(6, 6)})
    model["read"].weight = model["embed"].weight
    assert [site.name for site in sites(model)] == ["mix"]
    model.get_classifier = lambda: model["head"]
    model["head"] = nn.Linear(6, 6)
    model["head"].weight = model["mix"].weight
    assert sites(model) == []
