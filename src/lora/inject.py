"""Put LoRA into a model, merge it into the weights, or take it out again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from src.lora.adapters import Adapter, Dense, build
from src.lora.fold import fold_norms as fold
from src.lora.fold import is_folded, unfold
from src.lora.hashing import base_hash
from src.lora.settings import LoraSettings
from src.lora.surgery import adapt_class, freeze_norm, restore_class, slot
from src.lora.targets import Site, classifiers, select


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
    base_hash: str
    thawed: tuple[str, ...] = field(repr=False)  # parameters that required a gradient before


@dataclass(frozen=True)
class Graft:
    """An adapter, and the weight that it is made for."""

    site: Site
    adapter: Adapter

    def layer(self) -> Layer:
        """Describe it."""
        count = sum(parameter.numel() for parameter in self.adapter.parameters())
        return Layer(self.site.name, self.site.attribute, self.adapter.kind, count)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the adapter's parameters under the names they have in the adapted model."""
        prefix = f"{self.site.name}.{slot(self.site.attribute)}".removeprefix(".")
        return {f"{prefix}.{name}": parameter for name, parameter in self.adapter.named_parameters()}


@dataclass(frozen=True)
class Rootstock:
    """A frozen base that waits for adapters: its hash, its folded convs' row factors by `id`, what it trained."""

    base_hash: str
    rows: dict[int, Tensor] = field(repr=False)
    thawed: tuple[str, ...] = field(repr=False)


def inject(
    model: nn.Module,
    rank: int = 8,
    alpha: float = 16.0,
    targets: str | Sequence[str] = "all",
    fold_norms: bool = True,
    **choices: Any,
) -> Injection:
    """Adapt the weights of `model` in place and freeze the rest but the heads of `get_classifier()`.

    Args:
        model: Any module, of any float dtype; its outputs stay what they are until the adapters are trained.
        rank: Rank of each low-rank pair.
        alpha: The update B A is scaled by alpha / rank.
        targets: `all`, `dense`, `attention`, `mlp`, `conv`, a glob of module names, or a list of these; an empty list
            adapts nothing and leaves the head to train.
        fold_norms: Fold frozen batch norms into their convolutions; `merge` and `remove` undo it.
        **choices: The other fields of `LoraSettings`: `kind`, `init`, `scaling`, `dropout`, `ranks`, `alphas`.

    Returns:
        The layers that were adapted, and the hash of the base.

    Raises:
        ValueError: Bad settings, a target or pattern without a match, a rank at which every layer would be dense, or a
            model that is adapted already.
    """
    settings = LoraSettings(rank, alpha, targets, fold_norms, **choices)
    grafts = grow(model, settings)
    if grafts and all(isinstance(graft.adapter, Dense) for graft in grafts):
        largest = max((graft.site for graft in grafts), key=lambda site: site.weight.numel())
        raise ValueError(
            f"lora.rank={settings.rank} is so high that every targeted layer would be trained whole "
            f"(the largest, {largest.name}, is {tuple(largest.weight.shape)}): choose a lower rank"
        )
    return attach(model, settings, grafts, prepare(model, fold_norms, base_hash(model)))


def grow(model: nn.Module, settings: LoraSettings) -> tuple[Graft, ...]:
    """Make the adapters that `settings` asks for, without touching `model`; its own adapters may be in place.

    Raises:
        ValueError: A target or pattern matches nothing.
    """
    chosen = select(model, settings.targets)
    settings.check_patterns(site.name for site in chosen)
    plain = _weights_before_folding(model)
    return tuple(
        Graft(site, build(settings.kind, plain.get(id(site.module), site.weight), settings.recipe(site.name)))
        for site in chosen
    )


def prepare(model: nn.Module, fold_norms: bool, hashed: str) -> Rootstock:
    """Freeze a plain `model` but its heads, in place, with its batch norms folded where asked for.

    Raises:
        ValueError: The model has adapters.
    """
    if injection_of(model) is not None:
        raise ValueError("this model has adapters already: merge or remove them first")
    thawed = tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    rows = fold(model) if fold_norms else {}
    _freeze(model)
    return Rootstock(hashed, rows, thawed)


def attach(model: nn.Module, settings: LoraSettings, grafts: Sequence[Graft], rootstock: Rootstock) -> Injection:
    """Put adapters into a prepared model that has none at the moment."""
    for graft in grafts:
        site, adapter = graft.site, graft.adapter
        adapter.fold(rootstock.rows.get(id(site.module)))
        adapter.train(site.module.training)
        for module, attribute in ((site.module, site.attribute), *site.twins):
            module.add_module(slot(attribute), adapter)
            adapt_class(module, attribute)
    layers = tuple(graft.layer() for graft in grafts)
    injection = Injection(settings, layers, len(rootstock.rows), rootstock.base_hash, rootstock.thawed)
    model.__dict__["injection"] = injection
    return injection


def detach(model: nn.Module) -> None:
    """Take the adapters out of `model`, which stays prepared: frozen, and folded as it is."""
    for module, attribute, _ in list(adapters(model)):
        restore_class(module)
        del module._modules[slot(attribute)]


def injection_of(model: nn.Module) -> Injection | None:
    """Return what `inject` did to `model`, or None for a plain one."""
    found: Injection | None = model.__dict__.get("injection")
    return found


def merge(model: nn.Module) -> nn.Module:
    """Write W' into the weights of `model`, in place, and leave plain modules with plain keys."""
    plain, weights = _weights_before_folding(model), []
    for module, attribute, adapter in adapters(model):
        base = plain.get(id(module), module._parameters[attribute])
        assert base is not None
        weights.append((base, adapter.merge(base)))
    remove(model)
    for base, value in weights:
        base.data.copy_(value)
    return model


def remove(model: nn.Module) -> nn.Module:
    """Take the adapters out of `model`, in place: the very weights, statistics and classes it had before."""
    injection = injection_of(model)
    if injection is None:
        raise ValueError("this model has no adapters to merge or remove")
    detach(model)
    for module in list(model.modules()):
        unfold(module)
        restore_class(module)
    thawed = set(injection.thawed)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in thawed)
    del model.__dict__["injection"]
    return model


def adapters(model: nn.Module) -> Iterator[tuple[nn.Module, str, Adapter]]:
    """Yield every adapted module, the adapted weight's name in it, and the adapter."""
    for module in model.modules():
        for name, child in module._modules.items():
            if isinstance(child, Adapter) and not isinstance(module, Adapter):
                yield module, name.removesuffix(slot("")), child


def _weights_before_folding(model: nn.Module) -> dict[int, nn.Parameter]:
    """Return the plain weight of every conv that a norm is folded into, by the conv's `id`."""
    folds = [module.__dict__["fold"] for module in model.modules() if is_folded(module)]
    return {id(fold.conv): fold.weight for fold in folds}


def _freeze(model: nn.Module) -> None:
    """Stop every parameter but the heads' and every running statistic."""
    model.requires_grad_(False)
    for head in classifiers(model):
        head.requires_grad_(True)
    for module in model.modules():
        if any(name.startswith("running_") for name in module._buffers) and not is_folded(module):
            freeze_norm(module)
