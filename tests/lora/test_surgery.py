import copy
import pickle

import torch
from torch import nn

from src.lora.engine.weight import LeanWeight
from src.lora.surgery import (
    Grafted,
    freeze_norm,
    make_adaptable,
    make_recomputable,
    restore_class,
    slot,
)


class Doubled(nn.Module):
    """An adapter that doubles the weight."""

    def weight(self, base):
        return base * 2


def test_one_class_is_made_for_one_set_of_traits_and_undone():
    first, second = nn.Linear(2, 3), nn.Linear(4, 5)
    for module in (first, second):
        make_adaptable(module, ("weight",))
    assert type(first) is type(second) and isinstance(first, (Grafted, nn.Linear))
    assert list(first.state_dict()) == ["weight", "bias"]
    restore_class(first)
    assert type(first) is nn.Linear and isinstance(second, Grafted)


def test_the_weight_is_read_adapted_and_kept_plain():
    module, x = nn.Linear(2, 3, bias=False), torch.randn(4, 2)
    plain = module(x)
    make_adaptable(module, ("weight",))
    assert isinstance(module.weight, LeanWeight) and torch.equal(module(x), plain)
    module.add_module(slot("weight"), Doubled())
    torch.testing.assert_close(module(x), 2 * plain)
    torch.testing.assert_close(x @ module._parameters["weight"].T, plain)


def test_traits_survive_copies_and_pickles():
    module = nn.BatchNorm2d(3)
    freeze_norm(module)
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert isinstance(again, Grafted) and not again.train().training
        restore_class(again)
        assert type(again) is nn.BatchNorm2d and again.train().training
    assert isinstance(module, Grafted)


def test_a_recomputable_activation_is_not_in_place_until_restored():
    module = nn.SiLU(inplace=True)
    make_recomputable(module)
    x = torch.randn(3, requires_grad=True) * 1
    y = module(x)
    assert y is not x and torch.equal(y, nn.functional.silu(x))
    restore_class(module)
    assert module.inplace and type(module) is nn.SiLU
