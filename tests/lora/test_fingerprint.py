import copy
import functools
import json
import pickle

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from src.lora import AdapterError, inject, injection_of, load_adapter, merge, remove, save_adapter
from src.lora.fingerprint import base_hash, difference, fingerprint, structure_of
from tests.lora.conftest import build, images, outputs, stir


class Net(nn.Module):
    """A network whose state dict says nothing of what the options change."""

    def __init__(self, act=F.relu, scale=1.0, norm=None, **options):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, **{"padding": 1, **options})
        self.norm = norm or nn.GroupNorm(2, 8)
        self.nonlinearity, self.scale = act, scale
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.scale * self.nonlinearity(self.norm(self.conv(x))).mean((2, 3)))

    def get_classifier(self):
        return self.head


OTHERS = {
    "stride": {"stride": 2},
    "padding": {"padding": 0},
    "same": {"padding": "same"},
    "mode": {"padding_mode": "reflect"},
    "dilation": {"dilation": 2},
    "groups": {"norm": nn.GroupNorm(4, 8)},
    "eps": {"norm": nn.GroupNorm(2, 8, eps=1e-3)},
    "function": {"act": F.gelu},
    "partial": {"act": functools.partial(F.leaky_relu, negative_slope=0.3)},
    "module": {"act": nn.ReLU()},
    "number": {"scale": 2.0},
    "class": {"norm": timm.layers.GroupNormAct(8, num_groups=2)},
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_changes_the_forward_changes_the_hash(other, tmp_path):
    torch.manual_seed(0)
    base, changed = Net().eval(), Net(**OTHERS[other]).eval()
    changed.load_state_dict(base.state_dict())
    assert fingerprint(base).values == fingerprint(changed).values
    assert base_hash(base) != base_hash(changed)
    inject(base, rank=1, fold_norms=False)
    with pytest.raises(AdapterError, match="trained on another base: one of the same weights, but "):
        load_adapter(save_adapter(tmp_path / "a.safetensors", base), changed)
    assert injection_of(changed) is None


@pytest.mark.parametrize(
    ("name", "other", "options", "why"),
    [
        ("tf_efficientnet_lite0", "efficientnet_lite0", {}, r"blocks\.0\.0\.bn1 has eps 0\.001 there and 1e-05 here"),
        ("resnet18", "resnet18", {"output_stride": 8}, r"layer3\.0 has dilation 1 there and 2 here"),
    ],
)
def test_an_adapter_is_refused_by_a_network_of_the_same_weights(name, other, options, why, tmp_path):
    base, changed = timm.create_model(name, num_classes=3), timm.create_model(other, num_classes=3, **options)
    changed.load_state_dict(base.state_dict())
    inject(base, rank=2, targets=["conv_stem" if "lite" in name else "layer4.*"], fold_norms=False)
    with pytest.raises(AdapterError, match=why):
        load_adapter(save_adapter(tmp_path / "a.safetensors", base), changed)


def test_what_changes_no_output_leaves_the_hash(base):
    before = base_hash(base)
    assert base_hash(copy.deepcopy(base)) == before == base_hash(pickle.loads(pickle.dumps(base)))
    base.train()
    base(images(base))
    state = base.state_dict()
    assert structure_of(base) == structure_of(base.eval())
    injected = copy.deepcopy(base)
    inject(injected, rank=2)
    assert base_hash(remove(injected)) == base_hash(base)
    base.reset_classifier(7)
    assert structure_of(base) == structure_of(injected) and state


def test_dropouts_and_their_rates_do_not_count():
    plain, dropping = (timm.create_model("test_vit", drop_rate=p, drop_path_rate=p, proj_drop_rate=p) for p in (0, 0.2))
    assert structure_of(plain) == structure_of(dropping)


def test_settings_that_only_one_version_has_are_no_difference():
    here = structure_of(Net())
    there = json.loads(json.dumps(here))
    there["conv"].pop("padding_mode")
    there["norm"]["new_in_a_later_version"] = 3
    assert difference(there, here) is None
    there["conv"]["stride"] = [2, 2]
    assert difference(there, here) == "conv has stride [2, 2] there and [1, 1] here"
    assert difference(here | {"more": {"class": "ReLU"}}, here) == "more is only in that base"


def test_objects_tensors_paths_and_private_names_are_not_read():
    model = Net(scale=float("inf"))
    model._secret, model.tensor, model.thing, model.many = 1, torch.zeros(2), object(), list(range(99))
    model.weights, model.nested, model.shape = "/home/me/weights.pt", [(1, 2.5), None], torch.Size([2, 3])
    model.itself = [1]
    model.itself.append(model.itself)
    assert structure_of(model)[""] == {
        "class": "Net",
        "nonlinearity": "relu",
        "scale": "inf",
        "nested": [[1, 2.5], None],
        "shape": [2, 3],
    }


def test_the_output_is_that_of_a_file_that_was_accepted(tmp_path):
    model, again = Net().eval(), Net().eval()
    again.load_state_dict(model.state_dict())
    inject(model, rank=1)
    load_adapter(save_adapter(tmp_path / "a.safetensors", model), again)
    x = torch.randn(2, 3, 6, 6)
    assert torch.equal(outputs(again, x), outputs(model, x))


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
