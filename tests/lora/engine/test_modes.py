"""What compiles, traces, transforms or replicates an adapted model gets what a dense model gives it."""

import copy
import sys

import pytest
import timm
import torch
import torch.autograd.forward_ad as forward_ad
from torch import nn
from torch.nn.parallel import replicate

from src.lora import inject, merge
from tests.lora.conftest import gradients, images, outputs, relative, stir, uncover
from tests.lora.test_training_modes import TOLERANCE, assert_close


def adapted(name: str = "test_efficientnet", **options) -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5).eval()
    uncover(model)
    inject(model, rank=4, **options)
    stir(model)
    return model


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet", "test_resnet"])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_traced_model_says_the_same_and_holds_the_adapters(name, recorded):
    model = adapted(name)
    x, other = images(model), images(model).flip(2)
    with torch.set_grad_enabled(recorded):
        traced = torch.jit.trace(model, x)
    assert relative(outputs(traced, other), outputs(model, other)) <= TOLERANCE
    names = dict(traced.named_parameters())
    learns = [name for name, p in model.named_parameters() if p.requires_grad]
    with torch.no_grad():
        for parameter in learns:
            names[parameter].zero_()
    assert not torch.equal(outputs(traced, other), outputs(adapted(name), other))  # not baked into it


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated")
def test_scripting_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^torch\.jit\.script takes no adapted model: merge\(model\) first") as told:
        torch.jit.script(adapted())
    assert "\n" not in str(told.value)


def learnt(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of torch's own attention under vmap
@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet"])
def test_functional_gradients_are_autograds(name):
    model = adapted(name)
    x = images(model)

    def loss(parameters, x):
        return torch.func.functional_call(model, parameters, (x,)).square().sum()

    found = torch.func.grad(loss)(learnt(model), x)
    assert_close(found, gradients(model, x))
    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(learnt(model), x[:, None])
    assert_close({name: value.sum(0) for name, value in each.items()}, found)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated")  # by torch, in its own first use of forward mode
def test_forward_gradients_are_those_of_the_backward():
    model = adapted()
    x, direction = images(model), images(model).flip(0)
    _, functional = torch.func.jvp(model, (x,), (direction,))
    with forward_ad.dual_level():
        by_hand = forward_ad.unpack_dual(model(forward_ad.make_dual(x, direction))).tangent
    x.requires_grad_()
    (grad,) = torch.autograd.grad(model(x).sum(), x)
    for tangent in (functional, by_hand):
        assert tangent.detach().sum().item() == pytest.approx(float((grad * direction).sum()), rel=1e-4)


def penalties(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the gradients of the squared gradients of the input and of every parameter, as a penalty on them takes."""
    x = x.clone().requires_grad_()
    learns = {name: p for name, p in model.named_parameters() if p.requires_grad}
    loss = model(x).square().sum()
    first = torch.autograd.grad(loss, [x, *learns.values()], create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), [x, *learns.values()])
    return dict(zip(["x", *learns], second, strict=True))


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet", "test_resnet", "test_convnext"])
def test_a_backward_can_be_differentiated(name):
    before = timm.layers.config._USE_FUSED_ATTN
    timm.layers.set_fused_attn(False)  # torch's fused one cannot be differentiated twice on a CPU
    try:
        model = adapted(name).double()
        x = images(model).double()[..., :64, :64] if name != "test_vit" else images(model).double()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.compiler, "is_compiling", lambda: True)
            dense = penalties(model, x)
        for key, value in penalties(model, x).items():
            assert relative(value, dense[key]) <= 1e-7, key
    finally:
        timm.layers.set_fused_attn(bool(before))


def test_attention_in_bf16_can_be_differentiated_twice():
    model = adapted("test_vit")
    x = images(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = penalties(model, x)
    timm.layers.set_fused_attn(False)
    try:
        exact = penalties(adapted("test_vit"), x)
    finally:
        timm.layers.set_fused_attn(True)
    far = sum(float((found[n] - exact[n]).norm()) ** 2 for n in exact) / sum(
        float(v.norm()) ** 2 for v in exact.values()
    )
    assert far**0.5 < 0.1


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet"])
def test_replicas_are_the_model(name, monkeypatch):
    model = adapted(name)
    x, expected = images(model), gradients(adapted(name), images(model))
    module = sys.modules["torch.nn.parallel.replicate"]

    def copies(tensors, devices, detach=False):  # what a GPU is for here: to hold them
        return [[tensor.clone() for tensor in tensors] for _ in devices]

    monkeypatch.setattr(module, "_broadcast_coalesced_reshape", copies)
    first, second = replicate(model, [0, 1])
    assert relative(second(x), model(x)) <= TOLERANCE
    assert torch.equal(outputs(second, x), outputs(model, x))
    model.zero_grad()
    sum(net(part).square().sum() for net, part in ((first, x[:1]), (second, x[1:]))).backward()
    assert_close({n: p.grad for n, p in model.named_parameters() if p.grad is not None}, expected)


def test_a_copy_of_a_frozen_weight_is_no_older_than_the_weight():
    for name in ("test_vit", "test_efficientnet"):
        model = adapted(name)
        x = images(model)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            gradients(model, x)
            for parameter in model.parameters():  # neither the version nor the address tells
                if not parameter.requires_grad and parameter.ndim > 1:
                    parameter.data.mul_(1.5)
                    parameter.detach().numpy()[0] += 0.1
            fresh = copy.deepcopy(model)
            assert_close(gradients(model, x), gradients(fresh, x), 0.0)
            assert torch.equal(model(x), fresh(x))


def test_what_is_adapted_in_inference_mode_can_be_trained_and_merged_in_it():
    model = timm.create_model("test_efficientnet", num_classes=5).eval()
    x = images(model)
    with torch.inference_mode():
        inject(model, rank=4)
    stir(model)
    expected = outputs(model, x)
    assert all(value.abs().sum() > 0 for value in gradients(model, x).values())
    with torch.inference_mode():
        merge(model)
    assert relative(outputs(model, x), expected) <= TOLERANCE
    model.requires_grad_(True)
    assert gradients(model, x)  # no weight was made in that mode


def test_an_adapted_model_runs_where_there_is_no_autocast():
    model = adapted("test_vit").to("meta")
    assert model(images(model).to("meta")).shape[1] == 5
