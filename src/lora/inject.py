"""Put LoRA into a model, merge it into the weights, or take it out again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from src.lora.adapters import Adapter, Dense, LowRank, shapes
from src.lora.fold import fold_norms as fold
from src.lora.fold import is_folded, plain_weights, unfold
from src.lora.hashing import base_hash
from src.lora.surgery import adapt_class, freeze_norm, restore_class, slot
from src.lora.targets import Site, classifiers, select


@dataclass(frozen=True)
class LoraSettings:
    """The choices that decide which adapters a model gets.

    Attributes:
        rank: Rank of each low-rank pair.
        alpha: The update is scaled by alpha / rank.
        targets: A word of `src.lora.targets.ROLES`, a module-name glob, or several; empty for the head alone.
        fold_norms: Whether frozen batch norms are folded into their convolutions.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: str | tuple[str, ...] = "all"
    fold_norms: bool = True

    def __post_init__(self) -> None:
        """Refuse numbers that make no adapter."""
        if isinstance(self.rank, bool) or not isinstance(self.rank, int) or self.rank < 1:
            raise ValueError(f"lora.rank must be a whole number of at least 1, not {self.rank!r}")
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"lora.alpha must be above 0 and finite, not {self.alpha!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        targets = self.targets if isinstance(self.targets, str) else list(self.targets)
        return {**asdict(self), "targets": targets}


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


def inject(
    model: nn.Module,
    rank: int = 8,
    alpha: float = 16.0,
    targets: str | Sequence[str] = "all",
    fold_norms: bool = True,
) -> Injection:
    """Adapt the weights of `model` in place and freeze the rest but the heads of `get_classifier()`.

    Args:
        model: Any module, of any float dtype; its outputs stay what they are until the adapters are trained.
        rank: Rank of each low-rank pair.
        alpha: The update B A is scaled by alpha / rank.
        targets: `all`, `dense`, `attention`, `mlp`, `conv`, a glob of module names, or a list of these; an empty list
            adapts nothing and leaves the head to train.
        fold_norms: Fold frozen batch norms into their convolutions; `merge` and `remove` undo it.

    Returns:
        The layers that were adapted, and the hash of the base.

    Raises:
        ValueError: Bad settings, a target without a match, a rank at which every layer would be dense, or a model
            that is adapted already.
    """
    settings = LoraSettings(rank, float(alpha), targets if isinstance(targets, str) else tuple(targets), fold_norms)
    if injection_of(model) is not None:
        raise ValueError("this model has adapters already: merge or remove them first")
    chosen = plan(model, settings)
    thawed = tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    hashed = base_hash(model)
    rows = fold(model) if fold_norms else {}
    _freeze(model)
    layers = tuple(_adapt(site, settings, rows.get(id(site.module))) for site in chosen)
    injection = Injection(settings, layers, len(rows), hashed, thawed)
    model.__dict__["injection"] = injection
    return injection


def injection_of(model: nn.Module) -> Injection | None:
    """Return what `inject` did to `model`, or None for a plain one."""
    found: Injection | None = model.__dict__.get("injection")
    return found


def plan(model: nn.Module, settings: LoraSettings) -> list[Site]:
    """Return the weights that `settings` would adapt, without touching the model.

    Raises:
        ValueError: As `inject`.
    """
    chosen = select(model, settings.targets)
    if chosen and all("D" in shapes(site.weight, settings.rank) for site in chosen):
        largest = max(chosen, key=lambda site: site.weight.numel())
        raise ValueError(
            f"lora.rank={settings.rank} is so high that every targeted layer would be trained whole "
            f"(the largest, {largest.name}, is {tuple(largest.weight.shape)}): choose a lower rank"
        )
    return chosen


def merge(model: nn.Module) -> nn.Module:
    """Write W' into the weights of `model`, in place, and leave plain modules with plain keys."""
    plain, weights = plain_weights(model), []
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
    for module, attribute, _ in list(adapters(model)):
        restore_class(module)
        del module._modules[slot(attribute)]
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
            if isinstance(child, Adapter):
                yield module, name.removesuffix(slot("")), child


def _adapt(site: Site, settings: LoraSettings, rows: Tensor | None) -> Layer:
    adapter: Adapter
    if "D" in shapes(site.weight, settings.rank):
        adapter = Dense(site.weight, rows)
    else:
        adapter = LowRank(site.weight, settings.rank, settings.alpha, rows)
    for module, attribute in ((site.module, site.attribute), *site.twins):
        module.add_module(slot(attribute), adapter)
        adapt_class(module, attribute)
    count = sum(parameter.numel() for parameter in adapter.parameters())
    return Layer(site.name, site.attribute, adapter.kind, count)


def _freeze(model: nn.Module) -> None:
    """Stop every parameter but the heads' and every running statistic."""
    model.requires_grad_(False)
    for head in classifiers(model):
        head.requires_grad_(True)
    for module in model.modules():
        if any(name.startswith("running_") for name in module._buffers) and not is_folded(module):
            freeze_norm(module)
