import copy

import pytest
import torch

from src.lora import inject, merge, remove
from src.lora.hashing import base_hash
from tests.lora.conftest import build, stir


def test_the_head_and_the_memory_format_do_not_count():
    model = build("dilated_resnet")
    before = base_hash(model)
    other = copy.deepcopy(model).to(memory_format=torch.channels_last)
    torch.nn.init.ones_(other.get_classifier().weight)
    assert base_hash(other) == before


@pytest.mark.parametrize("name", ["conv1.0.weight", "layer1.0.bn1.running_mean"])
def test_every_frozen_value_counts(name):
    model = build("dilated_resnet")
    before = base_hash(model)
    model.state_dict()[name].flatten()[0] += 1e-3
    assert base_hash(model) != before


def test_a_removed_adapter_leaves_no_trace_and_a_merged_one_does(base):
    before = base_hash(base)
    inject(base, rank=2)
    stir(base)
    assert base_hash(remove(copy.deepcopy(base))) == before != base_hash(merge(base))


def test_state_that_is_no_tensor_is_left_out():
    class Counted(torch.nn.Linear):
        def get_extra_state(self):
            return {"calls": 3}

        def set_extra_state(self, state):
            pass

    assert len(base_hash(torch.nn.Sequential(Counted(2, 2)))) == 64
