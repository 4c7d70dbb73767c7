"""Inject LoRA adapters into a model, and keep a record of it in the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from .adapters import Adapter, Dense, choose
from .fingerprint import Fingerprint, fingerprint
from .fold import folded_norms
from .look import Example
from .notes import note, noted
from .prepare import NOTE, Rootstock, prepare
from .settings import LoraSettings
from .surgery import slot
from .targets import Site, select
from .undo import undone_on_error


@dataclass(frozen=True)
class Layer:
    """One adapted weight: its module's name, the weight's name in it, the adapter's kind and size."""

    name: str
    attribute: str
    kind: str
    parameters: int


@dataclass(frozen=True)
class Injection:
    """What `inject` did to a model."""

    settings: LoraSettings
    layers: tuple[Layer, ...]
    folded: int
    base: Fingerprint
    # What `remove` restores: parameters that required a gradient, and modes unlike the model's.
    thawed: tuple[str, ...] = field(repr=False)
    held: Mapping[str, bool] = field(default_factory=dict, repr=False)
    # Values of the base that `thaw` replaced.
    replaced: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def base_hash(self) -> str:
        """The hash of the base."""
        return self.base.hash


@dataclass(frozen=True)
class Graft:
    """An adapter, and the weight that it adapts."""

    site: Site
    adapter: Adapter

    def layer(self) -> Layer:
        """Return the adapter's name, kind and size."""
        count = sum(parameter.numel() for parameter in self.adapter.parameters())
        return Layer(self.site.name, self.site.attribute, self.adapter.kind, count)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the adapter's parameters under the names they have in the adapted model."""
        return {_name(self.site, name): parameter for name, parameter in self.adapter.named_parameters()}


def inject(
    model: nn.Module,
    rank: int = 8,
    alpha: float = 16.0,
    targets: str | Sequence[str] = "all",
    fold_norms: bool = True,
    example: Example | None = None,
    **choices: Any,
) -> Injection:
    """Adapt the weights of `model` in place and freeze the rest but the heads of `get_classifier()`.

    Whatever is raised, the model is as it was before.

    Args:
        model: Any module, of any float dtype; its outputs stay what they are until the adapters are trained.
        rank: Rank of each low-rank pair.
        alpha: The update B A is scaled by alpha / rank.
        targets: `all`, `dense`, `attention`, `mlp`, `conv`, a glob of module names, or a list of these; an empty list
            adapts nothing and leaves the head to train.
        fold_norms: Fold frozen batch norms into their convolutions; `merge` and `remove` undo it.
        example: Example inputs, to check which norms fold: a tensor or a list for a single argument, a tuple for
            several, a mapping for keyword arguments. Without them, images of noise are tried in the sizes that timm
            and transformers keep in a model; if none runs, no norm is folded, with a warning.
        **choices: The other fields of `LoraSettings`: `kind`, `init`, `scaling`, `dropout`, `ranks`, `alphas`.

    Returns:
        The layers that were adapted, and the hash of the base.

    Raises:
        ValueError: Bad settings, a target or pattern without a match, a rank at which every layer would be dense, a
            model that is adapted already, or that does not run on `example`.
    """
    settings = LoraSettings(rank, alpha, targets, fold_norms, **choices)
    # A rank that makes every layer dense would be full fine-tuning by mistake.
    chosen = plan(model, settings)
    if chosen and all(_kind(site, settings) is Dense for site in chosen):
        largest = max(chosen, key=lambda site: site.weight.numel())
        raise ValueError(
            f"lora.rank={settings.rank} is so high that every targeted layer would be trained whole "
            f"(the largest, {largest.name}, is {tuple(largest.weight.shape)}): choose a lower rank"
        )
    with undone_on_error(model.modules()):
        rootstock = prepare(model, fold_norms, fingerprint(model), example)
        return attach(model, settings, grow(model, settings), rootstock)


def plan(model: nn.Module, settings: LoraSettings) -> list[Site]:
    """Return the weights that `settings` would adapt, without touching the model.

    Raises:
        ValueError: A target or pattern matches nothing.
    """
    chosen = select(model, settings.targets)
    settings.check_patterns(site.name for site in chosen)
    return chosen


def shapes(model: nn.Module, settings: LoraSettings) -> dict[str, tuple[int, ...]]:
    """Return the shape of every adapter parameter that `settings` would add, by its name in the adapted model.

    Raises:
        ValueError: As `plan`.
    """
    return {
        _name(site, parameter): shape
        for site in plan(model, settings)
        for parameter, shape in _kind(site, settings).shapes(site.weight, settings.recipe(site.name).rank).items()
    }


def grow(model: nn.Module, settings: LoraSettings) -> tuple[Graft, ...]:
    """Make the adapters of `settings` for a prepared `model`, without attaching them."""
    folded = folded_norms(model)
    grafts = [
        Graft(site, _kind(site, settings)(site.weight, settings.recipe(site.name))) for site in plan(model, settings)
    ]
    for graft in grafts:
        if id(graft.site.module) in folded:
            graft.adapter.leave(folded[id(graft.site.module)].alive)
    return tuple(grafts)


def attach(model: nn.Module, settings: LoraSettings, grafts: Sequence[Graft], rootstock: Rootstock) -> Injection:
    """Attach adapters to a prepared model that has none.

    Raises:
        ValueError: A module has something of its own where its adapter goes.
    """
    for graft in grafts:
        site, adapter = graft.site, graft.adapter
        adapter.train(site.module.training)  # rank dropout follows the layer's mode
        for module, attribute in ((site.module, site.attribute), *site.twins):
            if hasattr(module, slot(attribute)):
                raise ValueError(
                    f"{site.name} has a {slot(attribute)!r} of its own, where its adapter goes: give that another "
                    "name, or leave the layer out of lora.targets"
                )
            module.add_module(slot(attribute), adapter)
    layers = tuple(graft.layer() for graft in grafts)
    injection = Injection(settings, layers, rootstock.folded, rootstock.base, rootstock.thawed, rootstock.held)
    note(model, NOTE, injection)
    return injection


def thaw(model: nn.Module, values: Mapping[str, Tensor]) -> Injection:
    """Unfreeze parameters of an adapted model and set them to `values`; `remove` restores the old values."""
    injection, parameters = injection_of(model), dict(model.named_parameters())
    assert injection is not None
    injection = replace(injection, replaced={name: parameters[name].detach().clone() for name in values})
    for name, value in values.items():
        parameters[name].data.copy_(value)
        parameters[name].requires_grad_(True)
    note(model, NOTE, injection)
    return injection


def refreeze(model: nn.Module) -> dict[str, Tensor]:
    """Undo `thaw`: restore the old values, and return those that were learnt since."""
    injection, parameters = injection_of(model), dict(model.named_parameters())
    if injection is None or not injection.replaced:
        return {}
    learnt = {name: parameters[name].detach().clone() for name in injection.replaced}
    for name, value in injection.replaced.items():
        parameters[name].data.copy_(value)
        parameters[name].requires_grad_(False)
    note(model, NOTE, replace(injection, replaced={}))
    return learnt


def detach(model: nn.Module) -> None:
    """Detach the adapters of `model`, which stays prepared: frozen, with its norms folded."""
    for module, attribute, _ in list(adapters(model)):
        del module._modules[slot(attribute)]


def injection_of(model: nn.Module) -> Injection | None:
    """Return what `inject` did to `model`, or None for a plain one."""
    found: Injection | None = noted(model, NOTE)
    return found


def adapters(model: nn.Module) -> Iterator[tuple[nn.Module, str, Adapter]]:
    """Yield every adapted module, the adapted weight's name in it, and the adapter."""
    for module in model.modules():
        for name, child in module._modules.items():
            if isinstance(child, Adapter) and not isinstance(module, Adapter):  # no parts of a blend
                yield module, name.removesuffix(slot("")), child


def _kind(site: Site, settings: LoraSettings) -> type[Adapter]:
    return choose(settings.kind, site.weight, settings.recipe(site.name).rank)


def _name(site: Site, parameter: str) -> str:
    return f"{site.name}.{slot(site.attribute)}.{parameter}".removeprefix(".")
