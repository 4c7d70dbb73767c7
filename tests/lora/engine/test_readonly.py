import copy
import pickle

import pytest
import torch
from torch import nn

from src.lora import inject, merge
from src.lora.engine.readonly import ReadOnly
from tests.lora.conftest import stir


def assign(name, value):
    return lambda w: setattr(w, name, value)


WRITES = {
    "zero_": lambda w: w.zero_(),
    "copy_": lambda w: w.copy_(torch.zeros_like(w)),
    "init.zeros_": nn.init.zeros_,
    "init.normal_": nn.init.normal_,
    "init.kaiming_uniform_": nn.init.kaiming_uniform_,
    "init.trunc_normal_": nn.init.trunc_normal_,
    "init.orthogonal_": lambda w: nn.init.orthogonal_(w),
    "item": lambda w: w.__setitem__(0, 0),
    "+=": lambda w: w.__iadd__(1),
    "data.zero_": lambda w: w.data.zero_(),
    "data.item": lambda w: w.data.__setitem__(0, 0),
    "detach.normal_": lambda w: w.detach().normal_(),
    "data": assign("data", torch.zeros(1)),
    "requires_grad_": lambda w: w.requires_grad_(True),
    "requires_grad": assign("requires_grad", True),
    "grad": lambda w: w.grad,
    "set grad": assign("grad", None),
    "hook": lambda w: w.register_hook(print),
    "retain_grad": lambda w: w.retain_grad(),
}


PARTS = {
    "item.zero_": lambda w: w[0].zero_(),
    "item.item": lambda w: w[0][:, 0].__setitem__(0, 0),
    "detach.item": lambda w: w.detach()[0].fill_(0),
    "data.item": lambda w: w.data[0].mul_(0),
    "view": lambda w: w.view(-1).zero_(),
    "flatten": lambda w: nn.init.normal_(w.flatten(1)),
    "transpose": lambda w: w.transpose(0, 1).add_(1),
    "select": lambda w: w.select(0, 1).zero_(),
}


@pytest.fixture(params=["lora", "dora", "dense"])
def net(request):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8 if request.param == "dense" else 1), nn.Conv2d(8, 8, 3))
    inject(net, rank=2, targets="conv", **({} if request.param == "dense" else {"kind": request.param}))
    stir(net)
    return net


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_a_write_that_would_be_lost_raises(net, mode):
    layer = net[0]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for name, write in WRITES.items():
        with mode(), pytest.raises(ValueError, match=r"would be lost: .*merge\(model\) or remove\(model\) first"):
            write(layer.weight)
            pytest.fail(f"{name} went through")
    with pytest.raises(ValueError, match="would be lost"):
        layer.reset_parameters()
    with pytest.raises(ValueError, match="would be lost"):
        net.apply(lambda m: m.weight.data.normal_() if isinstance(m, nn.Conv2d) else None)
    with pytest.raises(AttributeError, match="made at each read"):
        type(layer).weight.fset(layer, torch.zeros(1))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad])
@pytest.mark.parametrize("key", PARTS)
def test_a_write_to_a_part_raises_too(net, mode, key):
    with mode(), pytest.raises(ValueError, match="would be lost"):
        PARTS[key](net[0].weight)


def test_what_is_copied_out_is_ones_own(net):
    with torch.no_grad():
        for own in (net[0].weight[[0, 1]], net[0].weight[0].clone(), net[0].weight.view(-1) + 0):
            assert not own.zero_().any()
    (net[0].weight[0] ** 2).sum().backward()
    assert any(parameter.grad is not None for parameter in net[0].parameters())


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad])
def test_it_is_read_as_any_tensor(net, mode):
    layer, merged = net[0], merge(copy.deepcopy(net))[0].weight.detach()
    with mode():
        weight = layer.weight
        assert weight.shape == merged.shape and weight.dtype == merged.dtype and isinstance(weight, ReadOnly)
        for same in (
            weight.detach().clone(),
            weight.data.clone(),
            torch.empty_like(merged).copy_(weight),
            copy.deepcopy(weight.detach()),
            pickle.loads(pickle.dumps(weight.detach())),
            weight.detach().cpu().view(-1).view_as(merged),
            torch.from_numpy(weight.detach().numpy()),
            (weight + 0).detach(),
        ):
            assert type(same) in (torch.Tensor, ReadOnly)
            torch.testing.assert_close(same + 0, merged)
        weight.detach().clone().zero_()
        own = nn.Parameter(weight.detach().clone())
    own.requires_grad_(False).zero_()
    assert repr(weight).startswith("ReadOnly([[[[")


def test_a_frozen_weight_and_a_merged_one_can_be_written_to(net):
    inject(frozen := nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 9)), rank=1, targets=["1"])
    for _ in range(2):
        with torch.no_grad():
            frozen[0].weight.zero_()
        assert not frozen[0]._parameters["weight"].any()
        frozen[0].weight.data.fill_(1)
        assert frozen[0]._parameters["weight"].all() and frozen[0].weight.grad is None
    merge(net)
    nn.init.zeros_(net[0].weight)
    assert not net[0].weight.any()
