import copy

import pytest
import torch
from safetensors.torch import load_file, save_file

import src.lora.adapter_pool
from src.lora import AdapterError, AdapterPool, Shelf, inject, load_adapter, merge, remove, save_adapter
from src.lora.adapter_file import read_tensors
from tests.lora.conftest import build, images, outputs, relative, stir

ADAPTERS = {
    "plain": {"rank": 4, "targets": "conv"},
    "wide": {"rank": 8, "targets": ["layer1.*", "layer2.*"], "alpha": 4.0},
    "dora": {"rank": 2, "kind": "dora"},
    "pissa": {"rank": 2, "targets": "dense", "init": "pissa"},
    "seven": {"rank": 2, "targets": "dense"},
    "unfolded": {"rank": 4, "targets": "conv", "fold_norms": False},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    for name, choice in ADAPTERS.items():
        model = build("dilated_resnet")
        if name == "seven":
            model.reset_classifier(7)
        inject(model, **choice)
        stir(model, std=0.03)
        save_adapter(folder / name, model)
    return folder


@pytest.fixture
def pool(files):
    pool = AdapterPool(build("dilated_resnet"))
    for name in ADAPTERS:
        pool.load(name, files / name)
    return pool


def test_each_adapter_is_the_trained_model_and_the_base_comes_back_bit_for_bit(pool, files, monkeypatch):
    x, base = images(pool.model), build("dilated_resnet")
    kinds, state, before = [type(m) for m in base.modules()], base.state_dict(), outputs(base, x)
    expected = {}
    for name in ADAPTERS:
        model = build("dilated_resnet")
        if name == "seven":
            model.reset_classifier(7)
        load_adapter(files / name, model)
        expected[name] = outputs(model, x)
    monkeypatch.setattr(src.lora.adapter_pool, "fingerprint", lambda *_: pytest.fail("hashed again"))
    assert pool.names == tuple(ADAPTERS)
    for name in [*ADAPTERS, *reversed(ADAPTERS)]:
        pool.activate(name)
        assert torch.equal(outputs(pool.model, x), expected[name]), name
    pool.deactivate()
    pool.deactivate()
    assert [type(m) for m in pool.model.modules()] == kinds
    assert list(pool.model.state_dict()) == list(state)
    assert all(torch.equal(value, state[key]) for key, value in pool.model.state_dict().items())
    assert torch.equal(outputs(pool.model, x), before) and pool.model.fc.out_features == 5
    assert all(parameter.requires_grad for parameter in pool.model.parameters())


def test_a_hundred_switches_leave_the_base_and_fold_once(pool, monkeypatch):
    state = copy.deepcopy(pool.model.state_dict())
    folded = []
    prepare = src.lora.adapter_pool.prepare
    monkeypatch.setattr(src.lora.adapter_pool, "prepare", lambda *args: folded.append(args) or prepare(*args))
    for number in range(100):
        pool.activate(("plain", "wide", "dora", "seven")[number % 4])
    assert len(folded) == 1
    pool.deactivate()
    assert all(torch.equal(value, state[key]) for key, value in pool.model.state_dict().items())


def test_the_earlier_name_is_still_there():
    assert Shelf is AdapterPool


def test_memory_per_adapter_is_the_bytes_of_its_file(pool, files):
    for name in ADAPTERS:
        assert pool.size(name) == sum(t.numel() * t.element_size() for t in load_file(files / name).values())


def test_a_blend_is_the_weighted_sum_of_weights_and_heads(pool, files):
    x, shares = images(pool.model), {"plain": 0.25, "wide": 0.5, "dora": -0.5}
    base = build("dilated_resnet")
    expected = copy.deepcopy(base.state_dict())
    head = [key for key in expected if key.startswith("fc.")]
    for key in head:
        expected[key].zero_()
    for name, share in shares.items():
        model = build("dilated_resnet")
        load_adapter(files / name, model)
        for key, value in merge(model).state_dict().items():
            expected[key] += (share * (value if key in head else value - base.state_dict()[key])).to(value.dtype)
    pool.blend(shares)
    base.load_state_dict(expected)
    assert relative(outputs(pool.model, x), outputs(base, x)) <= 1e-5
    with pytest.raises(ValueError, match="a blend has no file"):
        save_adapter(files / "blend", pool.model)
    merged = merge(copy.deepcopy(pool.model))
    assert relative(outputs(merged, x), outputs(base, x)) <= 1e-5
    pool.blend({"plain": 1.0})
    alone = outputs(pool.model, x)
    pool.activate("plain")
    assert relative(alone, outputs(pool.model, x)) <= 1e-5


def test_what_is_active_can_be_trained_and_saved(pool, files, tmp_path):
    pool.activate("dora")
    stir(pool.model)
    trained, fresh = outputs(pool.model, images(pool.model)), build("dilated_resnet")
    load_adapter(save_adapter(tmp_path / "more", pool.model), fresh)
    assert torch.equal(outputs(fresh, images(fresh)), trained)


def test_bad_files_and_names_leave_the_pool_as_it_was(pool, files, tmp_path):
    pool.activate("plain")
    before = outputs(pool.model, images(pool.model))
    header, tensors = read_tensors(files / "plain")
    save_file({**tensors, "fc.bias": torch.zeros(9)}, tmp_path / "torn", _metadata(files / "plain"))
    other = build("dilated_resnet")
    with torch.no_grad():
        other.layer1[0].conv1.weight.add_(1)
    inject(other, rank=2)
    save_adapter(tmp_path / "other", other)
    for call, error, message in (
        (lambda: pool.load("torn", tmp_path / "torn"), AdapterError, "different numbers of classes"),
        (lambda: pool.load("other", tmp_path / "other"), AdapterError, "another base"),
        (lambda: pool.load("plain", files / "plain"), ValueError, "already: give another name"),
        (lambda: pool.activate("plian"), ValueError, "near names: plain"),
        (lambda: pool.blend({}), ValueError, "at least one adapter"),
        (lambda: pool.blend({"plain": float("nan")}), ValueError, "finite share"),
        (lambda: pool.blend({"plain": 0.5, "seven": 0.5}), ValueError, "'seven' has another number of classes"),
        (lambda: pool.blend({"plain": 0.5, "unfolded": 0.5}), ValueError, "'unfolded' has another fold_norms"),
        (lambda: AdapterPool(pool.model), ValueError, "needs a plain model"),
    ):
        with pytest.raises(error, match=message):
            call()
    assert pool.names == tuple(ADAPTERS) and header.settings.rank == 4
    assert torch.equal(outputs(pool.model, images(pool.model)), before)


def _metadata(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.metadata()


def test_a_model_that_was_changed_beside_the_pool_is_refused(pool):
    pool.activate("plain")
    remove(pool.model)
    for call in (pool.deactivate, lambda: pool.activate("wide")):
        with pytest.raises(ValueError, match="beside the pool"):
            call()


def test_a_refused_adapter_leaves_the_pool_as_it_was(files, monkeypatch):
    pool = AdapterPool(build("dilated_resnet"))
    for name in ("plain", "dora", "unfolded"):
        pool.load(name, files / name)
    pool._pooled["dora"].folded = 3
    x, state = images(pool.model), build("dilated_resnet").state_dict()
    with pytest.raises(AdapterError, match="3 batch norms folded"):
        pool.activate("dora")
    assert all(torch.equal(value, state[key]) for key, value in pool.model.state_dict().items())
    assert all(parameter.requires_grad for parameter in pool.model.parameters())
    for other in ("unfolded", "plain"):
        pool.activate(other)
        shown = outputs(pool.model, x)
        with pytest.raises(AdapterError, match="3 batch norms folded"):
            pool.activate("dora")
        assert torch.equal(outputs(pool.model, x), shown)
    pool.deactivate()
    assert all(torch.equal(value, state[key]) for key, value in pool.model.state_dict().items())


@pytest.fixture
def unfrozen(tmp_path):
    """Files of two trainings with more than adapters unfrozen, and one of adapters alone."""
    for seed, (name, more) in enumerate({"norm": ["norm"], "both": ["norm", "pos_embed"], "plain": []}.items()):
        model = build("vit")
        torch.manual_seed(seed)
        inject(model, rank=2, targets="mlp", fold_norms=False)
        for key, parameter in model.named_parameters():
            if key.split(".")[0] in more:
                parameter.requires_grad_(True)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter) * 0.05)
        save_adapter(tmp_path / name, model)
    return tmp_path


def test_what_was_unfrozen_beside_the_adapters_goes_and_comes_with_them(unfrozen):
    pool = AdapterPool(build("vit"))
    x, base = images(pool.model), build("vit")
    for name in ("norm", "both", "plain"):
        pool.load(name, unfrozen / name)
        assert pool.size(name) == sum(t.numel() * t.element_size() for t in load_file(unfrozen / name).values())
    for name in ("norm", "plain", "both", "norm", "both", "plain"):
        pool.activate(name)
        alone = build("vit")
        load_adapter(unfrozen / name, alone)
        assert torch.equal(outputs(pool.model, x), outputs(alone, x)), name
        assert pool.model.norm.weight.requires_grad == (name != "plain")
    pool.activate("norm")
    with torch.no_grad():
        pool.model.norm.weight.add_(1)  # as a training would
    trained = outputs(pool.model, x)
    pool.activate("plain")
    pool.activate("norm")
    assert torch.equal(outputs(pool.model, x), trained)
    pool.deactivate()
    assert torch.equal(outputs(pool.model, x), outputs(base, x))
    assert all(torch.equal(value, base.state_dict()[key]) for key, value in pool.model.state_dict().items())
    assert all(parameter.requires_grad for parameter in pool.model.parameters())


def test_a_blend_adds_what_was_unfrozen_too(unfrozen):
    pool, base = AdapterPool(build("vit")), build("vit").state_dict()
    shares = {"norm": 0.5, "both": 0.75, "plain": 0.25}
    expected = {key: value.clone() for key, value in base.items()}
    for name, share in shares.items():
        pool.load(name, unfrozen / name)
        model = build("vit")
        load_adapter(unfrozen / name, model)
        for key, value in merge(model).state_dict().items():
            before = base[key] if not key.startswith("head.") else 0 * base[key]
            expected[key] = expected[key] * (name != "norm" or not key.startswith("head.")) + share * (value - before)
    pool.blend(shares)
    alone = build("vit")
    alone.load_state_dict(expected)
    x = images(alone)
    assert relative(outputs(pool.model, x), outputs(alone, x)) <= 1e-5
    assert relative(outputs(merge(pool.model), x), outputs(alone, x)) <= 1e-5


def test_the_statistics_of_a_head_change_places_with_it(tmp_path):
    class Normed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.body, self.head = torch.nn.Linear(3, 16), torch.nn.BatchNorm1d(16)

        def forward(self, x):
            return self.head(self.body(x))

        def get_classifier(self):
            return self.head

    x, pool, base = torch.randn(4, 3), AdapterPool(Normed().eval()), Normed().eval()
    for mean in (1.0, 2.0):
        model = Normed().eval()
        inject(model, rank=1, fold_norms=False)
        model.head.running_mean.fill_(mean)
        path = save_adapter(tmp_path / str(mean), model)
        pool.load(str(mean), path)
        pool.activate(str(mean))
        assert torch.equal(outputs(pool.model, x), outputs(model, x))
        assert load_file(path)["head.num_batches_tracked"].dtype == torch.int64
    with pytest.raises(ValueError, match=r"'2.0' has other statistics in its head"):
        pool.blend({"1.0": 0.5, "2.0": 0.5})
    pool.deactivate()
    assert torch.equal(outputs(pool.model, x), outputs(base, x))
    without = {key: value for key, value in load_file(path).items() if "running" not in key and "num" not in key}
    save_file(without, path, _metadata(path))  # as older files are
    old = Normed().eval()
    load_adapter(path, old)
    pool.load("old", path)
    pool.activate("old")
    assert torch.equal(outputs(old, x), outputs(pool.model, x)) and not old.head.running_mean.any()
