"""Every invariant of the engine, as named steps that run on the smallest member of any timm family."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.lora import Injection, adapters, inject, injection_of, load_adapter, merge, remove, save_adapter
from src.lora.adapters import Adapter
from src.lora.targets import classifiers
from src.lora.trace import tensors
from tests.lora.conftest import outputs, relative, stir, uncover
from tests.lora.family_table import FAMILIES

RANK = 4
TOLERANCE = 1e-5
DOUBLE_TOLERANCE, DOUBLE_ROUNDING = 1e-10, 1e-16
TRAINING_STEPS = 10
IN_PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


class Broken(AssertionError):
    """An invariant does not hold; the message says which, and by how much."""


@dataclass(frozen=True)
class Case:
    """A plain model in eval mode, two images for it, and what it says of them."""

    base: nn.Module
    x: Tensor
    y: Tensor
    folder: Path

    @cached_property
    def trained(self) -> nn.Module:
        """An adapted copy of the base, as if trained; every step leaves it as it was."""
        return self.adapted()[0]

    def adapted(self, stirred: bool = True, fold_norms: bool = True) -> tuple[nn.Module, Injection]:
        """Return an adapted copy of the base, as if trained when `stirred`."""
        model = copy.deepcopy(self.base)
        torch.manual_seed(3)
        injection = inject(model, rank=RANK, alpha=2 * RANK, fold_norms=fold_norms)
        if stirred:
            stir(model)
        return model, injection


def build_family(name: str, size: int, **options: Any) -> tuple[nn.Module, Tensor]:
    """Build a timm model with five classes and random weights that hide nothing behind a zero, and two images."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(name, num_classes=5, **options).eval()
        uncover(model)
        model.pretrained_cfg = {**model.pretrained_cfg, "input_size": (3, size, size)}
        return model, torch.randn(2, 3, size, size)


def expect(holds: bool, invariant: str) -> None:
    """Raise `Broken` with the name of the invariant unless it holds."""
    if not holds:
        raise Broken(invariant)


def close(actual: Tensor, expected: Tensor, invariant: str) -> None:
    """Expect two tensors to agree within `TOLERANCE` of the largest value."""
    error = relative(actual, expected)
    expect(error <= TOLERANCE, f"{invariant}: off by {error:.1e} of the scale")


def same_state(model: nn.Module, plain: nn.Module, invariant: str) -> None:
    """Expect the very keys, values, buffers and classes of `plain`, the heads' values left out."""
    kinds, plain_kinds = ([type(m) for m in module.modules()] for module in (model, plain))
    expect(kinds == plain_kinds and injection_of(model) is None, f"{invariant}: other classes")
    expect(list(model.state_dict()) == list(plain.state_dict()), f"{invariant}: other keys")
    heads = {id(p) for head in classifiers(model) for p in head.parameters()}
    before = dict([*plain.named_parameters(), *plain.named_buffers()])
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        expect(id(value) in heads or torch.equal(value, before[name]), f"{invariant}: {name} moved")


def starts_as_the_base(case: Case) -> None:
    """Outputs at init are the base's: bit for bit unfolded, within the tolerance folded.

    torch takes another kernel, which rounds otherwise, for a weight that requires a gradient or while gradients are
    recorded: so the bits are those of the base as it trains, as it is evaluated, or frozen.
    """
    model, _ = case.adapted(stirred=False, fold_norms=False)
    frozen = copy.deepcopy(case.base).requires_grad_(False)
    bits = case.base(case.x).detach(), case.y, outputs(frozen, case.x)
    for label, actual in (("without", outputs(model, case.x)), ("with", model(case.x).detach())):
        expect(any(torch.equal(actual, y) for y in bits), f"equal at init, {label} gradients")
    folded, _ = case.adapted(stirred=False)
    close(outputs(folded, case.x), case.y, "equal at init, folded")


def both_modes_say_the_same(case: Case) -> None:
    """With gradients the outputs are those without, and so is what a hook on any module sees."""
    model = case.trained
    close(model(case.x).detach(), outputs(model, case.x), "equal in both modes")
    hooked, quiet = (seen_by_hooks(model, lambda run=run: run(case.x)) for run in (model, partial(outputs, model)))
    expect(len(hooked) == len(quiet), "hooks are called alike in both modes")
    for with_gradients, without in zip(hooked, quiet, strict=True):
        if without.is_floating_point() and without.numel() and without.any():
            close(with_gradients, without, "hooks see the same in both modes")


def seen_by_hooks(model: nn.Module, run: Callable[[], Any]) -> list[Tensor]:
    """Return what every module but the adapters puts out in one run, the model's own output last."""
    seen: list[Tensor] = []

    def see(module: nn.Module, args: Any, output: Any) -> None:
        seen.extend(tensor.detach().clone() for tensor in tensors(output))

    modules = [module for module in model.modules() if not isinstance(module, Adapter)]
    hooks = [module.register_forward_hook(see) for module in modules]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def adapts_every_layer_once(case: Case) -> None:
    """Every Linear, Conv2d and in-projection but the heads' is adapted, whole where the pair would cost more."""
    heads = {id(m) for head in classifiers(case.base) for m in head.modules()}
    weights = {
        (name, attribute): weight
        for name, module in case.base.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.MultiheadAttention)) and id(module) not in heads
        for attribute, weight in module._parameters.items()
        if attribute in ("weight", *IN_PROJECTIONS) and weight is not None
    }
    layers = {(layer.name, layer.attribute): layer for layer in case.adapted()[1].layers}
    expect(set(layers) == set(weights), f"all layers adapted: {sorted(set(layers) ^ set(weights))[:3]}")
    for key, layer in layers.items():
        out, whole = weights[key].shape[0], weights[key].numel()
        expect(layer.parameters == min(whole, RANK * (out + whole // out)), f"the cheaper kind: {key}")
        expect((layer.kind == "dense") == (layer.parameters == whole), f"the cheaper kind: {key}")


def gradients_live_and_equal_the_dense_route(case: Case) -> None:
    """Every adapter gets a gradient, and it is the one that autograd takes from the dense sum.

    float32 rounds a few of them apart, those of 1e-8 of the largest. These must be equal in double, and in float32 as
    near to that as autograd's own, with the images in either order: one order alone may round well by chance.
    """
    model = case.trained
    fast, dense = gradients(model, case.x), dense_gradients(model, case.x)
    for name, gradient in fast.items():
        expect(bool(gradient.abs().max() > 0), f"alive in gradient: {name}")
    apart = [name for name in dense if relative(fast[name], dense[name]) > TOLERANCE]
    if not apart:
        return
    double, x = copy.deepcopy(model).double(), case.x.double()
    exact, fast_exact = dense_gradients(double, x), gradients(double, x)
    rounding = DOUBLE_ROUNDING * max(float(gradient.abs().max()) for gradient in exact.values())
    for name, gradient in exact.items():
        error, own = float((fast_exact[name] - gradient).abs().max()), float(gradient.abs().max())
        expect(error <= DOUBLE_TOLERANCE * own + rounding, f"gradients in double: {name} is off by {error / own:.1e}")
    turned = dense_gradients(model, case.x.flip(0))
    for name in apart:
        mine, *autograds = (relative(g[name].double(), exact[name]) for g in (fast, dense, turned))
        own = max(autograds)
        expect(mine <= 5 * own, f"gradients: {name} is off by {mine:.1e} of its scale, autograd's {own:.1e}")


def gradients(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return the gradient of every parameter that learns."""
    model.zero_grad()
    model(x).square().sum().backward()
    learns = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in learns.items()}


def dense_gradients(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return the gradients that autograd takes when every reader gets the dense sum, as under `torch.compile`."""
    compiling, torch.compiler.is_compiling = torch.compiler.is_compiling, lambda: True
    try:
        return gradients(model, x)
    finally:
        torch.compiler.is_compiling = compiling


def every_adapter_moves_the_output(case: Case) -> None:
    """Changing one adapter alone changes what its layer puts out, or the model's output where none calls the layer.

    The whole model anew for each adapter would take most of the time of all invariants. That a layer's output reaches
    the model's is said by the adapter's gradient.
    """
    model = case.trained
    moved: dict[int, bool] = {}
    layers = {id(module): module for module, _, _ in adapters(model)}.values()
    hooks = [layer.register_forward_hook(partial(see_move, moved), with_kwargs=True) for layer in layers]
    before = outputs(model, case.x)
    for hook in hooks:
        hook.remove()
    for module, attribute, adapter in adapters(model):
        if id(adapter) not in moved:
            with changed(adapter):
                moved[id(adapter)] = not torch.equal(outputs(model, case.x), before)
        expect(moved[id(adapter)], f"alive in effect: {type(module).__name__}.{attribute}")


def see_move(moved: dict[int, bool], module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
    """Run a layer again with each of its adapters changed, and note whether its output moved."""
    for adapter in [own for owner, _, own in adapters(module) if owner is module]:
        with changed(adapter):
            again = tensors(module.forward(*args, **kwargs))
        same = all(torch.equal(a, b) for a, b in zip(again, tensors(output), strict=True))
        moved[id(adapter)] = moved.get(id(adapter), False) or not same


@contextmanager
def changed(adapter: Adapter) -> Iterator[None]:
    """Hold another B or D in an adapter."""
    last = list(adapter.parameters())[-1]
    value = last.detach().clone()
    with torch.no_grad():
        last.add_(0.1 * torch.randn_like(last))
        yield
        last.copy_(value)


def merged_equals_unmerged(case: Case) -> None:
    """`merge` leaves a plain model that says what the adapted one said."""
    for label, model in (("folded", copy.deepcopy(case.trained)), ("unfolded", case.adapted(fold_norms=False)[0])):
        unmerged = outputs(model, case.x)
        merge(model)
        close(outputs(model, case.x), unmerged, f"merged equals unmerged, {label}")
        expect(list(model.state_dict()) == list(case.base.state_dict()), "merged: other keys")
        kinds, plain = ([type(m) for m in module.modules()] for module in (model, case.base))
        expect(kinds == plain and injection_of(model) is None, "merged: other classes")


def remove_gives_the_base_back(case: Case) -> None:
    """`remove` forgets nothing, whatever the adapters hold."""
    same_state(remove(copy.deepcopy(case.trained)), case.base, "removed bit for bit")


def reloads_bit_for_bit(case: Case) -> None:
    """The file and a pristine base are the trained model."""
    path = save_adapter(case.folder / "adapter.safetensors", case.trained)
    pristine = copy.deepcopy(case.base)
    load_adapter(path, pristine)
    expect(torch.equal(outputs(pristine, case.x), outputs(case.trained, case.x)), "reloaded bit for bit")


def the_base_stays_in_training(case: Case) -> None:
    """Training moves adapters and heads, and neither a frozen weight nor a statistic."""
    model, _ = case.adapted(stirred=False)
    learns = [p for p in model.parameters() if p.requires_grad]
    heads = {id(p) for head in classifiers(model) for p in head.parameters()}
    start = [p.detach().clone() for p in learns]
    optimizer = torch.optim.SGD(learns, lr=1e-4)
    for _ in range(TRAINING_STEPS):
        optimizer.zero_grad()
        F.cross_entropy(model.train()(case.x), torch.tensor([0, 3])).backward()
        optimizer.step()
    moved = [not torch.equal(p, old) for p, old in zip(learns, start, strict=True) if id(p) not in heads]
    expect(any(moved), "training moves the adapters")
    same_state(remove(model), case.base, "unmoved by training")


STEPS: tuple[Callable[[Case], None], ...] = (
    adapts_every_layer_once,
    starts_as_the_base,
    both_modes_say_the_same,
    gradients_live_and_equal_the_dense_route,
    every_adapter_moves_the_output,
    merged_equals_unmerged,
    remove_gives_the_base_back,
    reloads_bit_for_bit,
    the_base_stays_in_training,
)


def case_of(family: str, folder: Path) -> Case:
    """Build the case of one family of `FAMILIES`."""
    name, size, options = FAMILIES[family]
    base, x = build_family(name, size, **options)
    return Case(base, x, outputs(base, x), folder)


def check_family(family: str, folder: Path) -> None:
    """Run every step on the member of a timm family that `FAMILIES` names.

    Raises:
        Broken: The first invariant that does not hold.
    """
    case = case_of(family, folder)
    for step in STEPS:
        step(case)
