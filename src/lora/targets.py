"""Select the weights that `targets` means, by the type of a layer and its place in the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..near import near_names

ROLES = ("all", "dense", "attention", "mlp", "conv")
MARK = "role:"  # prefix that marks a word of `ROLES` where a layer has that name
LARGEST_BLOCK = 6  # convolutions of an inverted bottleneck with squeeze-and-excite


@dataclass(frozen=True)
class Site:
    """One weight that can be adapted.

    Attributes:
        name: Dotted name of the module.
        module: The module that owns the weight.
        attribute: Name of the parameter in it (`weight`, `in_proj_weight`, ...).
        roles: The words of `ROLES` that select it.
        twins: Other modules with the same parameter (tied weights), each with its name there.
    """

    name: str
    module: nn.Module
    attribute: str
    roles: frozenset[str]
    twins: tuple[tuple[nn.Module, str], ...] = ()

    @property
    def weight(self) -> Tensor:
        """The frozen weight W itself."""
        weight = self.module._parameters[self.attribute]
        assert weight is not None
        return weight


def classifiers(model: nn.Module) -> list[nn.Module]:
    """Return the model's heads, as timm's `get_classifier` names them (LeViT has two); empty for a plain module."""
    get = getattr(model, "get_classifier", None)
    heads = get() if callable(get) else ()
    return [head for head in (heads if isinstance(heads, (tuple, list)) else (heads,)) if isinstance(head, nn.Module)]


def sites(model: nn.Module) -> list[Site]:
    """Return every Linear, Conv2d and attention projection of `model` but its heads, in module order.

    A tied weight is one site, under the first of its names. It is none where an embedding or a head shares it: no
    adapter could reach every reader.
    """
    heads = {id(module) for head in classifiers(model) for module in head.modules()}
    holders = _holders(model)
    found = []
    for name, module in model.named_modules():
        for attribute in adaptable(module):
            owner, *twins = holders[id(module._parameters[attribute])]
            reachable = all(id(m) not in heads and parameter in adaptable(m) for m, parameter in (owner, *twins))
            if reachable and owner == (module, attribute):
                found.append(Site(name, module, attribute, frozenset(_roles(model, name, module)), tuple(twins)))
    return found


def _holders(model: nn.Module) -> dict[int, list[tuple[nn.Module, str]]]:
    """Return the modules that hold each parameter, by its `id`, in module order."""
    holders: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for attribute, parameter in module._parameters.items():
            if parameter is not None:
                holders.setdefault(id(parameter), []).append((module, attribute))
    return holders


def select(model: nn.Module, targets: str | Sequence[str]) -> list[Site]:
    """Return the sites that `targets` selects: a word of `ROLES`, a module-name glob, or a list of either.

    A word alone is a role. In a list, a layer of that name takes precedence, and `role:conv` is always the role.

    Raises:
        ValueError: A target matches nothing (near names are listed), or a layer is lazy and has no shape yet.
    """
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ValueError(f"{name} has no shape yet, its layer is lazy: run the model once, then adapt it")
    candidates = sites(model)
    picked: set[int] = set()
    for target in [f"{MARK}{targets}" if targets in ROLES else targets] if isinstance(targets, str) else targets:
        matches = _matches(candidates, target)
        if not matches:
            raise ValueError(_nothing(target, candidates))
        picked.update(matches)
    return [candidates[i] for i in sorted(picked)]


def _matches(candidates: Sequence[Site], target: str) -> list[int]:
    """Return the indices of the sites that a target matches: by exact name, else as a role, else as a glob."""
    named = [i for i, site in enumerate(candidates) if site.name == target]
    role = target.removeprefix(MARK)
    if named or role not in ROLES:
        return named or [i for i, site in enumerate(candidates) if fnmatchcase(site.name, target)]
    return [i for i, site in enumerate(candidates) if role in site.roles]


def _nothing(target: str, candidates: list[Site]) -> str:
    target = target.removeprefix(MARK)
    if target in ROLES:
        return f"lora.targets={target!r} matches no layer of this backbone: choose another of {', '.join(ROLES)}"
    near = near_names(target, [*ROLES, *(site.name for site in candidates)], 5, 0.3)
    return (
        f"lora.targets: {target!r} matches no layer; near names: {', '.join(near) or 'none'}. "
        f"Use one of {', '.join(ROLES)} or globs of module names"
    )


def adaptable(module: nn.Module) -> Iterator[str]:
    """Yield the names of the parameters of `module` that can be adapted."""
    if isinstance(module, (nn.Linear, nn.Conv2d)) and module._parameters.get("weight") is not None:
        yield "weight"  # under torch's parametrisations it is no parameter
    if isinstance(module, nn.MultiheadAttention):
        names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        yield from (name for name in names if module._parameters.get(name) is not None)


def _roles(model: nn.Module, name: str, module: nn.Module) -> Iterator[str]:
    yield "all"
    conv = isinstance(module, nn.Conv2d)
    if conv:
        yield "conv"
    if not conv or module.groups == 1:
        yield "dense"
    lineage = _lineage(model, name)
    if any(map(_is_attention, lineage)):
        yield "attention"
    elif _mixes_channels(lineage):
        yield "mlp"


def _lineage(model: nn.Module, name: str) -> list[nn.Module]:
    """Return the ancestors of the module called `name`, without the model, and the module itself."""
    parts = name.split(".")
    return [model.get_submodule(".".join(parts[: i + 1])) for i in range(len(parts))]


def _is_attention(module: nn.Module) -> bool:
    """Return whether a class is named as attention over tokens; blocks that contain an MLP too are not."""
    name = type(module).__name__.lower()
    named = "attention" in name or "attn" in name
    return named and not any("mlp" in type(child).__name__.lower() for child in module.modules())


def _mixes_channels(lineage: list[nn.Module]) -> bool:
    """Return whether a layer belongs to an MLP by the class of a parent, or expands or projects channels.

    The latter are pointwise convolutions in the smallest block of several convolutions: around a depthwise one
    (inverted bottlenecks), or alone.
    """
    *parents, module = lineage
    if not (isinstance(module, nn.Linear) or _is_pointwise(module)):
        return False
    if any(word in type(parent).__name__.lower() for parent in parents for word in ("mlp", "feedforward", "ffn")):
        return True
    blocks = ([child for child in parent.modules() if isinstance(child, nn.Conv2d)] for parent in reversed(parents))
    block = next((convolutions for convolutions in blocks if len(convolutions) > 1), [])
    if not isinstance(module, nn.Conv2d) or not 2 <= len(block) <= LARGEST_BLOCK:
        return False
    around = any(conv.groups > 1 and conv.groups == conv.in_channels for conv in block)
    alone = all(map(_is_pointwise, block)) and block[0].in_channels < block[0].out_channels
    return around or alone


def _is_pointwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1
