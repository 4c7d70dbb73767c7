import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from src.lora import inject, merge, remove
from src.lora.notes import PREFIX, forget, note, noted
from tests.lora.conftest import outputs, relative

ORDINARY = ("act", "fold", "fusion", "injection", "was_inplace", "settings", "base", "alive", "origin", "activated")


def test_notes_go_along_with_copies_and_pickles_and_are_forgotten():
    module = nn.ReLU()
    note(module, "fold", 3)
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert noted(again, "fold") == 3
    assert forget(module, "fold") == 3 and noted(module, "fold") is None and forget(module, "fold") is None


def net():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True)),
        *(nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4), nn.SiLU(inplace=True)),
    ).eval()
    for norm in (model[1], model[4]):
        norm.running_var.fill_(3.0)
    return model


@pytest.mark.parametrize("undo", [merge, remove])
def test_ordinary_names_of_a_user_are_neither_read_nor_written(undo):
    plain, model, x = net(), net(), torch.randn(2, 3, 8, 8)
    for module in model.modules():
        module.__dict__.update({name: f"the user's {name}" for name in ORDINARY})
    expected, named = inject(plain, rank=1), [dict(module.__dict__) for module in model.modules()]
    injection = inject(model, rank=1)
    assert injection.folded == expected.folded == 2
    assert torch.equal(model(x), plain(x))  # while gradients are taken, the fused ReLU included
    for adapted in (True, False):
        if not adapted:
            undo(model)
        modules = [module for name, module in model.named_modules() if "adapter" not in name]
        for module, before in zip(modules, named, strict=True):
            assert all(module.__dict__[name] == before[name] for name in ORDINARY)
    assert not [key for module in model.modules() for key in module.__dict__ if key.startswith(PREFIX)]


class Noisy(nn.Module):
    """A stochastic block that keeps its activation under an ordinary name."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True)
        self.conv2, self.bn2, self.act = nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4), F.relu

    def forward(self, x):
        x = F.dropout(self.relu(self.bn1(self.conv1(x))), 0.5)
        x = self.bn2(self.conv2(x))
        return x if self.act is None else self.act(x)


def test_a_stochastic_model_keeps_its_activation_and_its_random_state():
    torch.manual_seed(0)
    model, x = Noisy().eval(), torch.randn(2, 3, 8, 8)
    state = torch.random.get_rng_state()
    expected = model(x).detach()
    torch.random.set_rng_state(state)
    inject(model, targets=[])
    for run in (outputs, lambda model, x: model(x).detach()):
        torch.random.set_rng_state(state)
        assert relative(run(model, x), expected) <= 1e-5
    assert model.act is F.relu and remove(model).act is F.relu


class Acting(nn.Conv2d):
    def __init__(self, *args):
        super().__init__(*args)
        self.act = F.gelu

    def forward(self, x):
        return self.act(super().forward(x))


def test_a_convolution_with_an_activation_of_its_own_is_not_fused():
    torch.manual_seed(0)
    model, x = nn.Sequential(Acting(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True)).eval(), torch.randn(2, 3, 8, 8)
    model[1].running_mean.fill_(0.2)
    expected = outputs(model, x)
    inject(model, rank=1)
    assert relative(model(x), expected) <= 1e-5 and relative(outputs(model, x), expected) <= 1e-5


def test_a_child_where_the_adapter_would_go_is_refused_and_kept():
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 1))
    model[1].weight_adapter = own = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="1 has a 'weight_adapter' of its own"):
        inject(model, rank=1)
    assert model[1].weight_adapter is own and type(model[0]) is nn.Conv2d
    assert inject(model, rank=1, targets=["0"]).layers
