import copy

import pytest
import torch

from src.lora import adapters, inject, weights_once
from tests.lora.conftest import images, outputs, stir


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_each_weight_is_computed_once_for_all_forwards_and_no_bit_changes(base, kind, monkeypatch):
    inject(base, rank=2, kind=kind)
    stir(base)
    base.eval()
    x, held, calls = images(base), list(adapters(base)), []
    expected = outputs(base, x)
    for cls in {type(adapter) for *_, adapter in held}:
        weight = cls.weight
        monkeypatch.setattr(cls, "weight", lambda self, w, weight=weight: calls.append(self) or weight(self, w))
    with weights_once(base):
        found = [outputs(base, x) for _ in range(2)]
    assert all(torch.equal(each, expected) for each in found)
    assert len(calls) == len(held) > 0
    assert [(module, adapter) for module, _, adapter in adapters(base)] == [(m, a) for m, _, a in held]
    assert torch.equal(outputs(base, x), expected)


def test_whatever_is_raised_the_adapters_are_back(base):
    inject(base, rank=2)
    before = copy.deepcopy(base.state_dict())
    with pytest.raises(ValueError, match="inside"), weights_once(base):
        raise ValueError("inside")
    assert base.state_dict().keys() == before.keys()


def test_a_plain_model_is_left_alone(base):
    with weights_once(base):
        assert len(outputs(base, images(base))) == 2
