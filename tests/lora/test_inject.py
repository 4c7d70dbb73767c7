import copy
import io
import pickle

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.layers.norm_act import GroupNormAct
from torch import nn

from src.lora import adapters, inject, injection_of, merge, remove
from src.lora.prepare import is_adapted
from src.lora.targets import classifiers
from tests.lora.conftest import build, dense_gradients, gradients, images, outputs, relative, stir

TOLERANCE = 1e-5


def kinds(model):
    return [type(module) for module in model.modules()]


def assert_same_state(model, state):
    assert list(model.state_dict()) == list(state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_starts_as_the_base_bit_for_bit(base):
    x = images(base)
    before = outputs(base, x)
    inject(base, rank=4, fold_norms=False)
    assert torch.equal(outputs(base, x), before)
    assert torch.equal(base(x), before)  # the route that takes gradients has the same bits


def test_starts_as_the_base_with_norms_folded(base):
    x = images(base)
    before = outputs(base, x)
    injection = inject(base, rank=4)
    assert relative(outputs(base, x), before) <= TOLERANCE
    assert (injection.folded > 0) == any(isinstance(module, nn.BatchNorm2d) for module in base.modules())


def test_every_adapter_is_alive(base):
    x = images(base)
    inject(base, rank=4)
    stir(base)
    base(x).square().sum().backward()
    reference = outputs(base, x)
    for _, _, adapter in adapters(base):
        for parameter in adapter.parameters():
            assert parameter.grad is not None and parameter.grad.abs().max() > 0
    for name, parameter in base.named_parameters():
        if name.endswith((".B", ".D")):
            kept = parameter.detach().clone()
            with torch.no_grad():
                parameter.add_(0.1)
            assert not torch.equal(outputs(base, x), reference), f"{name} moves nothing"
            with torch.no_grad():
                parameter.copy_(kept)


@pytest.mark.parametrize("fold_norms", [True, False])
def test_merged_equals_unmerged_in_plain_modules(base, fold_norms):
    x, plain, keys = images(base), kinds(base), list(base.state_dict())
    inject(base, rank=4, fold_norms=fold_norms)
    stir(base)
    unmerged = outputs(base, x)
    merged = merge(base)
    assert merged is base
    assert relative(outputs(base, x), unmerged) <= TOLERANCE
    assert kinds(base) == plain
    assert list(base.state_dict()) == keys
    assert injection_of(base) is None


def test_a_model_that_was_moved_after_injection_merges_and_is_restored(base):
    x, plain = images(base).double(), copy.deepcopy(base).double()
    inject(base, rank=4)
    stir(base)
    base.double()
    twin, unmerged = copy.deepcopy(base), outputs(base, x)
    assert relative(outputs(merge(base), x), unmerged) <= TOLERANCE
    assert torch.equal(outputs(remove(twin), x), outputs(with_head_of(plain, twin), x))


def with_head_of(model, other):
    """Give `model` the (trained) head of `other`."""
    for head, trained in zip(classifiers(model), classifiers(other), strict=True):
        head.load_state_dict(trained.state_dict())
    return model


def test_remove_gives_the_base_back_bit_for_bit(base):
    x, plain, state = images(base), kinds(base), copy.deepcopy(base.state_dict())
    before = outputs(base, x)
    heads = {id(p) for head in classifiers(base) for p in head.parameters()}
    inject(base, rank=4)
    for _, _, adapter in adapters(base):
        for parameter in adapter.parameters():
            assert id(parameter) not in heads
            nn.init.normal_(parameter)
    assert remove(base) is base
    assert_same_state(base, state)
    assert kinds(base) == plain
    assert torch.equal(outputs(base, x), before)
    assert all(parameter.requires_grad for parameter in base.parameters())


def test_remove_restores_what_required_a_gradient():
    model = build("vit")
    model.patch_embed.requires_grad_(False)
    inject(model)
    remove(model)
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert frozen == ["patch_embed.proj.weight", "patch_embed.proj.bias"]


@pytest.mark.parametrize("fold_norms", [True, False])
def test_only_adapters_and_head_move_in_training(base, fold_norms):
    x, targets = images(base), torch.tensor([0, 3])
    inject(base, rank=4, fold_norms=fold_norms)
    before = copy.deepcopy(base.state_dict())
    learns = {name for name, parameter in base.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.Adam([p for p in base.parameters() if p.requires_grad], lr=0.01)
    for _ in range(3):
        base.train()
        optimizer.zero_grad()
        F.cross_entropy(base(x), targets).backward()
        optimizer.step()
    moved = {name for name, value in base.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == learns


def test_gradients_equal_those_of_the_dense_sum(base):
    x = images(base)
    inject(base, rank=4)
    stir(base)
    fast = gradients(base, x)
    for name, gradient in dense_gradients(base, x).items():
        assert gradient.abs().max() > 0 and relative(fast[name], gradient) <= TOLERANCE, name


def test_copies_and_pickles_are_independent(base):
    x = images(base)
    inject(base, rank=4)
    stir(base)
    expected = outputs(base, x)
    buffer = io.BytesIO(pickle.dumps(base))
    twins = [copy.deepcopy(base), pickle.load(buffer)]
    remove(base)
    for twin in twins:
        assert torch.equal(outputs(twin, x), expected)
        assert relative(outputs(merge(twin), x), expected) <= TOLERANCE


def test_a_layer_too_small_for_the_rank_becomes_dense():
    model = timm.create_model("test_efficientnet", pretrained=False)
    weights = {name: module.weight for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    layers = inject(model, rank=8).layers
    assert {layer.kind for layer in layers} == {"low-rank", "dense"}
    for layer in layers:
        out, whole = weights[layer.name].shape[0], weights[layer.name].numel()
        assert layer.parameters == min(whole, 8 * (out + whole // out))
        assert (layer.kind == "dense") == (layer.parameters == whole)


def test_empty_targets_leave_the_head_alone_to_train():
    model = build("dilated_resnet")
    assert inject(model, targets=[]).layers == ()
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {"fc.weight", "fc.bias"}


def test_multihead_attention_is_adapted_where_its_weight_is_read():
    torch.manual_seed(0)
    model = nn.MultiheadAttention(16, 4, batch_first=True, kdim=12, vdim=10).eval()
    same = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    for attention, key, value in ((model, 12, 10), (same, 16, 16)):
        q, k, v = torch.randn(2, 3, 16), torch.randn(2, 5, key), torch.randn(2, 5, value)
        names = [f"{layer.name}.{layer.attribute}" for layer in inject(attention, rank=2).layers]
        assert "out_proj.weight" in names and len(names) == (4 if attention is model else 2)
        stir(attention)
        unmerged = attention(q, k, v)[0]
        unmerged.square().sum().backward()
        assert all(p.grad.abs().max() > 0 for _, _, a in adapters(attention) for p in a.parameters())
        merge(attention)
        assert relative(attention(q, k, v)[0], unmerged) <= TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_takes_any_float_dtype(dtype):
    model = build("vit").to(dtype)
    x = images(model).to(dtype)
    before = outputs(model, x)
    inject(model, rank=4)
    assert torch.equal(outputs(model, x), before)
    learns = torch.promote_types(dtype, torch.float32)
    assert all(p.dtype == learns for _, _, a in adapters(model) for p in a.parameters())


@pytest.mark.parametrize("rank", [0, -1, 2.5, True])
def test_refuses_a_rank_that_is_no_rank(rank):
    with pytest.raises(ValueError, match=r"lora\.rank must be a whole number of at least 1"):
        inject(build("vit"), rank=rank)


def test_refuses_bad_settings_and_leaves_the_model_alone(base):
    plain, state = kinds(base), copy.deepcopy(base.state_dict())
    for options, message in (
        ({"alpha": 0.0}, "alpha must be above 0"),
        ({"targets": "blokcs.*"}, "matches no layer"),
        ({"rank": 100_000}, "every targeted layer would be trained whole"),
    ):
        with pytest.raises(ValueError, match=message):
            inject(base, **options)
    assert kinds(base) == plain
    assert_same_state(base, state)


def test_refuses_a_second_injection_and_a_merge_of_a_plain_model():
    model = build("vit")
    with pytest.raises(ValueError, match="no adapters"):
        merge(model)
    inject(model)
    with pytest.raises(ValueError, match="adapters already"):
        inject(model)


def test_a_part_that_is_adapted_already_is_refused_inside_a_wrapper():
    inner = build("vit")
    layers = inject(inner, rank=2).layers
    wrapper = nn.Sequential(inner)
    with pytest.raises(ValueError, match="adapters already"):
        inject(wrapper, rank=2)
    assert injection_of(inner).layers == layers and injection_of(wrapper) is None


def test_remove_gives_the_mode_of_the_model_to_its_norms():
    model = build("dilated_resnet").train()
    inject(model, rank=2)
    assert not model.bn1.training
    remove(model)
    assert all(module.training for module in model.modules())


def test_a_weight_that_a_parametrization_makes_is_left_alone():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.Linear(8, 8))
    assert [layer.name for layer in inject(model, rank=1).layers] == ["1"]


def test_an_unfrozen_weight_gets_its_gradient_beside_the_pair():
    model = build("vit")
    inject(model, rank=2)
    stir(model)
    weight = model.blocks[0].attn.qkv._parameters["weight"].requires_grad_(True)
    x = images(model)
    model(x).square().sum().backward()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        (dense,) = torch.autograd.grad(model(x).square().sum(), weight)
    assert weight.grad.any() and relative(weight.grad, dense) <= 1e-5


def test_a_norm_with_dropout_inside_is_not_made_again_in_the_backward():
    torch.manual_seed(0)
    norm = GroupNormAct(8, 2, drop_layer=lambda: nn.Dropout(0.5))
    model = nn.Sequential(nn.Conv2d(3, 8, 1), norm, nn.Conv2d(8, 4, 1)).train()
    inject(model, rank=1)
    stir(model)
    x = torch.randn(2, 3, 6, 6)
    found = []
    for compiling in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.compiler, "is_compiling", lambda compiling=compiling: compiling)
            torch.manual_seed(1)
            found.append(gradients(model, x))
    assert all(relative(found[0][name], gradient) <= 1e-5 for name, gradient in found[1].items())


def test_a_convolution_takes_one_image_without_a_batch():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1))
    inject(model, rank=1)
    x = torch.randn(3, 9, 9)
    torch.testing.assert_close(model(x), model(x[None])[0])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (lambda: nn.Linear(4, 4, device="meta"), r"1\.bias has no values yet, it is on the meta device"),
        (lambda: nn.LazyLinear(4), r"1\.weight has no shape yet, its layer is lazy: run the model once"),
        (lambda: nn.LazyBatchNorm1d(), r"1\.weight has no shape yet"),
    ],
)
def test_a_model_without_values_is_refused_in_one_line(part, message):
    model = nn.Sequential(nn.Linear(4, 4), part(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=message):
        inject(model, rank=1)
    assert not is_adapted(model) and type(model[0]) is nn.Linear and model[0].weight.requires_grad
