"""Whatever is raised, at whatever step: the model is as it was, and so is the pool."""

import copy
import inspect
import sys
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from src.lora import AdapterPool, inject, load_adapter, load_peft, merge, remove, save_adapter, save_peft
from src.lora.notes import noted
from src.lora.undo import undone_on_error
from tests.lora.conftest import outputs, stir


class Net(nn.Module):
    """Everything that is changed in a model: two folds, a fused ReLU, an activation in place, dropout and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.bn1, self.act1 = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True)
        self.conv2, self.bn2, self.act2 = nn.Conv2d(6, 5, 1), nn.BatchNorm2d(5), nn.SiLU(inplace=True)
        self.norm, self.fc = nn.LayerNorm(5), nn.Linear(5, 2)
        self.pretrained_cfg = {"input_size": (3, 6, 6)}
        for norm in (self.bn1, self.bn2):
            norm.running_var.fill_(3.0)
        self.bn2.eval()
        self.conv1.bias.requires_grad_(False)
        self.act2.register_forward_hook(lambda module, args, output: None)

    def get_classifier(self):
        return self.fc

    def forward(self, x):
        x = self.act2(self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x))))))
        return self.fc(self.norm(x.mean((2, 3))))


class Stop(BaseException):
    """What no `except Exception` holds back."""


class Calls:
    """Number the calls of the engine's functions, and raise at one of them."""

    def __init__(self, fatal):
        self.fatal, self.count, self.first, self.last = fatal, 0, {}, {}

    def __call__(self, frame, event, arg):
        code = frame.f_code
        if "/src/lora/" in code.co_filename and not code.co_flags & inspect.CO_GENERATOR:  # closing one may not raise
            self.count += 1
            self.first.setdefault(code, self.count)
            self.last[code] = self.count
            if self.count == self.fatal:
                raise Stop


@contextmanager
def stopped(nth):
    """Raise `Stop` inside, at the `nth` call."""
    calls = Calls(nth)
    sys.settrace(calls)
    try:
        yield calls
    finally:
        sys.settrace(None)


def what_it_is(model):
    """Return everything that can be seen of a model: what has an identity as itself, tensors with their bits."""
    modules = []
    for name, module in model.named_modules():
        tables = {key: list(value.items()) for key, value in module.__dict__.items() if isinstance(value, dict)}
        modules.append((name, type(module), module.training, dict(module.__dict__), tables))
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    facts = {key: (id(t), t.data_ptr(), t.requires_grad, t.grad) for key, t in tensors.items()}
    return modules, list(model.state_dict()), facts, {key: t.detach().clone() for key, t in tensors.items()}


def assert_same(model, before):
    now = what_it_is(model)
    for (name, *mine), (_, *others) in zip(now[0], before[0], strict=True):
        assert mine[:2] == others[:2], name
        assert mine[2].keys() == others[2].keys() and all(v is others[2][k] for k, v in mine[2].items()), name
        assert [[(k, id(v)) for k, v in t] for t in mine[3].values()] == [
            [(k, id(v)) for k, v in t] for t in others[3].values()
        ], name
    assert now[1:3] == before[1:3]
    assert all(torch.equal(value, before[3][key]) for key, value in now[3].items())


def stop_on_the_way(target, action, most):
    """Stop `action` on copies of a model or a pool, at calls of the engine's functions; then let it run through.

    The calls are the first and the last of each function, `most` of them evenly.
    """
    action(copy.deepcopy(target))  # the classes that it generates are made once
    twin = copy.deepcopy(target)
    with stopped(0) as calls:
        action(twin)
    marked = sorted({*calls.first.values(), *calls.last.values()})
    for nth in marked[:: max(1, len(marked) // most)]:
        twin = copy.deepcopy(target)
        model = getattr(twin, "model", twin)
        before = what_it_is(model)
        with pytest.raises(Stop), stopped(nth):
            action(twin)
        assert_same(model, before)
    action(target)


MOST = pytest.mark.parametrize("most", [12, pytest.param(1000, marks=pytest.mark.slow)])


def trained(**choices):
    model = Net()
    inject(model, rank=1, **choices)
    stir(model)
    return model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, choices in {"a": {}, "b": {"targets": ["conv2"]}, "unfolded": {"fold_norms": False}}.items():
        save_adapter(folder / name, trained(**choices))
    model = trained()
    model.norm.weight.requires_grad_(True)
    save_adapter(folder / "thawed", model)
    save_peft(folder / "peft", trained(targets=["conv1"]))
    return folder


@MOST
def test_a_stop_on_the_way_leaves_a_plain_model_as_it_was(files, most):
    stop_on_the_way(Net(), lambda model: inject(model, rank=1), most)
    stop_on_the_way(Net(), lambda model: load_adapter(files / "thawed", model), most)
    stop_on_the_way(Net(), lambda model: load_peft(files / "peft", model), most)


@MOST
@pytest.mark.parametrize("action", [merge, remove])
def test_a_stop_on_the_way_leaves_an_adapted_model_as_it_was(files, action, most):
    model = Net()
    load_adapter(files / "thawed", model)
    stop_on_the_way(model, action, most)
    assert type(model.conv1) is nn.Conv2d and noted(model, "injection") is None


@MOST
def test_a_stop_on_the_way_leaves_the_pool_as_it_was(files, most):
    x, shown = torch.randn(2, 3, 6, 6), {}
    for name in ("a", "b", "unfolded"):
        load_adapter(files / name, model := Net())
        shown[name] = outputs(model.eval(), x)
    pool = AdapterPool(Net().eval())
    for name in shown:
        stop_on_the_way(pool, lambda pool, name=name: pool.load(name, files / name), most)
    for action in (
        *(lambda pool, name=name: pool.activate(name) for name in ("a", "b", "unfolded")),
        lambda pool: pool.blend({"a": 0.5, "b": 0.5}),
        AdapterPool.deactivate,
    ):
        stop_on_the_way(pool, action, most)
    for name, expected in shown.items():
        pool.activate(name)
        assert torch.equal(outputs(pool.model, x), expected)


def test_a_pool_goes_on_after_a_stop(files):
    pool, x = AdapterPool(Net().eval()), torch.randn(2, 3, 6, 6)
    for name in ("a", "unfolded"):
        pool.load(name, files / name)
    pool.activate("a")
    expected = outputs(pool.model, x)
    for nth in (5, 50, 150, 300):
        with pytest.raises(Stop), stopped(nth):
            pool.activate("unfolded")
        assert torch.equal(outputs(pool.model, x), expected)
    for name in ("unfolded", "a"):
        pool.activate(name)
    assert torch.equal(outputs(pool.model, x), expected)


def test_a_full_device_in_the_middle_of_a_merge_gives_the_adapted_model_back(monkeypatch):
    """Weights that are written already get their old values back."""
    model = trained()
    before, written, fill = what_it_is(model), [], torch.Tensor.copy_

    def copy(self, other):
        written.append(self)
        if len(written) == 2:
            raise RuntimeError("out of memory")
        return fill(self, other)

    monkeypatch.setattr(torch.Tensor, "copy_", copy)
    with pytest.raises(RuntimeError, match="out of memory"):
        merge(model)
    monkeypatch.undo()
    assert_same(model, before)


def test_tensors_that_moved_or_were_thawed_come_back():
    model = Net().requires_grad_(False)
    before = what_it_is(model)
    with pytest.raises(KeyError), undone_on_error(model.modules(), model.fc.bias):
        model.double().requires_grad_(True)
        model.fc.bias.data.zero_()
        raise KeyError
    assert_same(model, before)
