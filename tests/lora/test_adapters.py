import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import nn

from src.lora import adapters, inject, load_adapter, merge, remove, save_adapter
from src.lora.adapters import KINDS, Blend, Dense, Dora, LowRank, Recipe, principal
from tests.lora.conftest import build, images, outputs, relative, stir

CHOICES = [
    {"kind": "dora"},
    {"init": "pissa"},
    {"kind": "dora", "init": "pissa"},
    {"scaling": "rslora"},
    {"ranks": {"*": 2}, "alphas": {"*": 3.0}},
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("key", ["vit", "dilated_resnet"])
def test_every_choice_keeps_every_invariant(choice, key, tmp_path):
    base = build(key)
    x, state = images(base), copy.deepcopy(base.state_dict())
    before, pristine = outputs(base, x), copy.deepcopy(base)
    plain = copy.deepcopy(base)
    inject(plain, rank=4, targets="dense", fold_norms=False, **choice)
    assert torch.equal(outputs(plain, x), before)
    inject(base, rank=4, targets="dense", **choice)
    assert relative(outputs(base, x), before) <= 1e-5
    stir(base)
    trained = outputs(base, x)
    assert relative(trained, before) > 1e-3
    base(x).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for _, _, adapter in adapters(base) for p in adapter.parameters())
    reloaded = copy.deepcopy(pristine)
    load_adapter(save_adapter(tmp_path / "a.safetensors", base), reloaded)
    assert torch.equal(outputs(reloaded, x), trained)
    assert relative(outputs(merge(reloaded.train()).eval(), x), trained) <= 1e-5
    remove(base)
    heads = ("head.", "fc.")
    assert all(torch.equal(v, state[name]) for name, v in base.state_dict().items() if not name.startswith(heads))


def test_rslora_divides_by_the_root_of_the_rank():
    for scaling, scale in (("lora", 12 / 9), ("rslora", 12 / 3)):
        model = build("vit")
        inject(model, rank=9, alpha=12.0, scaling=scaling, targets="mlp")
        assert {adapter.scale for _, _, adapter in adapters(model)} == {scale}


def test_dora_is_that_of_peft():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 20))
    ours, x, r = copy.deepcopy(plain), torch.randn(5, 24), 4
    inject(ours, rank=r, alpha=8.0, kind="dora")
    theirs = get_peft_model(plain, LoraConfig(r=r, lora_alpha=8, use_dora=True, target_modules=["0", "2"]))
    layers = [theirs.base_model.model[i] for i in (0, 2)]
    with torch.no_grad():
        for (_, _, adapter), layer in zip(adapters(ours), layers, strict=True):
            for mine, its in _dora_parameters(adapter, layer):
                mine.add_(torch.randn_like(mine) * 0.1)
                its.copy_(mine)
    assert relative(ours(x), theirs(x)) <= 1e-5
    for model in (ours, theirs):
        model(x).square().sum().backward()
    for (_, _, adapter), layer in zip(adapters(ours), layers, strict=True):
        for mine, its in _dora_parameters(adapter, layer):
            assert relative(mine.grad, its.grad) <= 1e-5


def _dora_parameters(adapter, layer):
    magnitude = layer.lora_magnitude_vector["default"].weight
    return (
        (adapter.A, layer.lora_A["default"].weight),
        (adapter.B, layer.lora_B["default"].weight),
        (adapter.M, magnitude),
    )


def test_dora_of_a_row_of_zeros_stays_finite():
    weight = torch.randn(6, 40)
    weight[2] = 0
    adapter = Dora(weight, Recipe(2, 1.0))
    adapted = adapter.weight(weight)
    adapted.sum().backward()
    torch.testing.assert_close(adapted.detach(), weight)
    assert all(p.grad.isfinite().all() for p in adapter.parameters())


def test_pissa_learns_what_a_residual_base_would():
    """The gradient at the start is that of the paper's own form, W_res + B A, and differs from LoRA's zero for A."""
    torch.manual_seed(0)
    weight, x = torch.randn(16, 24, dtype=torch.double), torch.randn(7, 24, dtype=torch.double)
    adapter = LowRank(weight, Recipe(3, 2.0, "pissa"))
    F.linear(x, adapter.weight(weight)).square().sum().backward()
    b, a = (p.detach().clone().requires_grad_() for p in (adapter.B, adapter.A))
    residual = weight - 2 * (b @ a).detach()
    F.linear(x, residual + 2 * b @ a).square().sum().backward()
    torch.testing.assert_close(adapter.B.grad, b.grad)
    torch.testing.assert_close(adapter.A.grad, a.grad)
    assert torch.linalg.matrix_rank(residual, atol=0.05) == 16 - 3  # the start is cut to bfloat16


@pytest.mark.parametrize("init", ["default", "pissa"])
def test_rank_dropout_zeroes_whole_ranks_in_training_only_and_keeps_the_mean(init):
    torch.manual_seed(0)
    weight = torch.randn(20, 30, dtype=torch.double)
    adapter = LowRank(weight, Recipe(4, 1.0, init, dropout=0.5))
    nn.init.normal_(adapter.A)
    nn.init.normal_(adapter.B)
    with torch.no_grad():
        whole = adapter.eval().weight(weight) - weight
        adapter.train()
        draws = torch.stack([adapter.weight(weight) - weight for _ in range(2000)])
        kept = {int(torch.linalg.matrix_rank(draw)) for draw in draws[:200]}
        assert kept <= ({0, 1, 2, 3, 4} if init == "default" else {0, 2, 4, 6, 8}) and len(kept) > 2
        assert (draws.mean(0) - whole).norm() / whole.norm() < 0.1
        adapter.eval()
        assert torch.equal(adapter.weight(weight) - weight, whole)


def test_a_model_in_eval_mode_gets_adapters_in_eval_mode():
    model = build("vit")
    inject(model, dropout=0.5)
    stir(model)
    assert torch.equal(outputs(model, images(model)), outputs(model, images(model)))
    model.train()
    assert all(adapter.training for _, _, adapter in adapters(model))


def test_a_blend_adds_what_its_parts_add():
    torch.manual_seed(0)
    weight = torch.randn(12, 40, dtype=torch.double)
    parts = [LowRank(weight, Recipe(2, 1.0)), Dora(weight, Recipe(3, 0.5)), Dense(weight, Recipe(2, 1.0))]
    for parameter in (p for part in parts for p in part.parameters()):
        nn.init.normal_(parameter)
    shares = [0.5, -1.0, 2.0]
    with torch.no_grad():
        expected = weight + sum(s * (part.weight(weight) - weight) for s, part in zip(shares, parts, strict=True))
        torch.testing.assert_close(Blend(zip(parts, shares, strict=True)).weight(weight), expected)


def test_a_new_kind_is_one_class(monkeypatch, tmp_path):
    class Doubled(LowRank):
        kind = "doubled"

        def weight(self, base):
            return base + 2 * (super().weight(base) - base)

    monkeypatch.setitem(KINDS, "doubled", Doubled)
    model, pristine = build("vit"), build("vit")
    assert {layer.kind for layer in inject(model, rank=2, targets="mlp", kind="doubled").layers} == {"doubled"}
    stir(model)
    load_adapter(save_adapter(tmp_path / "a.safetensors", model), pristine)
    assert torch.equal(outputs(pristine, images(model)), outputs(model, images(model)))


@pytest.mark.parametrize(
    ("key", "choice", "dtype"),
    [
        *(("vit", choice, torch.bfloat16) for choice in ({}, *CHOICES)),
        ("vit", {}, torch.float16),
        ("dilated_resnet", {}, torch.bfloat16),
    ],
    ids=str,
)
def test_adapters_of_a_base_in_half_precision_learn_in_float32(key, choice, dtype, tmp_path):
    base = build(key).to(dtype)
    x = images(base).to(dtype)
    before, pristine = outputs(base, x), copy.deepcopy(base)
    inject(base, rank=4, fold_norms=False, **choice)
    assert torch.equal(outputs(base, x), before) and base(x).dtype == dtype
    optimizer = torch.optim.AdamW([p for _, _, adapter in adapters(base) for p in adapter.parameters()], lr=1e-6)
    base(x).float().square().sum().backward()
    optimizer.step()
    assert all(p.dtype == state["exp_avg"].dtype == torch.float32 for p, state in optimizer.state.items())
    stir(base)
    trained = outputs(base, x)
    reloaded = copy.deepcopy(pristine)
    load_adapter(save_adapter(tmp_path / "a.safetensors", base), reloaded)
    assert torch.equal(outputs(reloaded, x), trained) and trained.dtype == dtype
    merge(reloaded)
    assert torch.equal(outputs(reloaded, x), trained)
    remove(base)
    heads = ("head.", "fc.")
    for name, value in base.state_dict().items():
        assert name.startswith(heads) or torch.equal(value, pristine.state_dict()[name])


@pytest.mark.parametrize("kind", [LowRank, Dora, Dense])
def test_the_update_is_added_in_float32_and_rounded_once(kind):
    torch.manual_seed(0)
    weight = torch.randn(12, 40).bfloat16()
    adapter = kind(weight, Recipe(2, 1.0))
    for parameter in adapter.parameters():
        nn.init.normal_(parameter)
    wide = kind(weight.float(), Recipe(2, 1.0))
    wide.load_state_dict(adapter.state_dict())
    with torch.no_grad():
        assert torch.equal(adapter.weight(weight), wide.weight(weight.float()).bfloat16())
        blend = Blend([(adapter, 0.5), (copy.deepcopy(adapter), 0.25)]).weight(weight)
    assert blend.dtype == torch.bfloat16


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (8, 3, 3, 3)])
def test_the_principal_part_is_the_best_approximation_of_its_rank(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    b, a = principal(weight, 4)
    u, s, v = np.linalg.svd(weight.flatten(1).double().numpy(), full_matrices=False)
    sign = np.sign(u[np.abs(u).argmax(0), range(len(s))])
    left, right = (u * sign * np.sqrt(s))[:, :4], ((v.T * sign * np.sqrt(s)).T)[:4]
    np.testing.assert_allclose(left @ right, (u[:, :4] * s[:4]) @ v[:4], atol=1e-12)
    assert torch.equal(b, torch.from_numpy(left).bfloat16().float())  # that pair, cut to bfloat16
    assert torch.equal(a, torch.from_numpy(right).bfloat16().float())
    assert all(column[column.abs().argmax()] > 0 for column in b.T)


def test_another_machines_rounding_gives_the_same_pair(monkeypatch):
    weight, svd = torch.randn(48, 96, generator=torch.Generator().manual_seed(0)), torch.linalg.svd
    b, a = principal(weight, 8)
    generator = torch.Generator().manual_seed(1)

    def elsewhere(*args, **kwargs):
        return [x * (1 + 1e-13 * torch.randn(x.shape, generator=generator)) for x in svd(*args, **kwargs)]

    monkeypatch.setattr(torch.linalg, "svd", elsewhere)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(principal(weight, 8), (b, a), strict=True))


def test_ranks_that_the_weight_lacks_are_zero():
    b, a = principal(torch.ones(3, 20), 5)
    torch.testing.assert_close(b @ a, torch.ones(3, 20), atol=1e-2, rtol=0)
    assert b.shape == (3, 5) and not b[:, 3:].any() and not a[3:].any()
