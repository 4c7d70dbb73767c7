"""Generated subclasses that replace a module's class in place, and can be pickled, copied and undone.

A module keeps its parameters under their own keys; only what its class does with them changes. `restore_class` gives
the class back, so a merged or removed model is made of the very classes that timm built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from src.lora.activations import ReLU6

_made: dict[tuple[type[nn.Module], str, tuple[str, ...]], type[nn.Module]] = {}


class Grafted:
    """Marks a generated class and remembers how it was made."""

    _recipe: tuple[type[nn.Module], str, tuple[str, ...]]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle the recipe, since a generated class has no importable name."""
        return _rebuild, self._recipe, self.__dict__.copy()


def slot(attribute: str) -> str:
    """Return the name of the child module that adapts `attribute`."""
    return f"{attribute}_adapter"


def adapt_class(module: nn.Module, attribute: str) -> None:
    """Make `module.attribute` read as the adapted weight W'.

    W itself stays in `_parameters[attribute]`; the adapter is the child module named `slot(attribute)`.
    """
    base: type[nn.Module] = type(module)
    attributes: tuple[str, ...] = (attribute,)
    if isinstance(module, Grafted):
        base, _, before = module._recipe
        attributes = (*before, attribute)
    module.__class__ = _derive(base, "adapted", attributes)


def freeze_norm(module: nn.Module) -> None:
    """Keep a norm in eval mode, whatever `train` says, so that its running statistics never move."""
    module.__class__ = _derive(type(module), "frozen")
    module.train(False)


def pass_through(module: nn.Module) -> None:
    """Make a batch norm apply only what follows the norm (timm's drop and act): its conv computes the rest."""
    module.__class__ = _derive(type(module), "folded")
    module.train(False)


def restore_class(module: nn.Module) -> None:
    """Give `module` the class back that it had before."""
    if isinstance(module, Grafted):
        module.__class__ = module._recipe[0]  # type: ignore[assignment]


def _rebuild(base: type[nn.Module], kind: str, attributes: tuple[str, ...]) -> nn.Module:
    cls = _derive(base, kind, attributes)
    return cls.__new__(cls)


def _derive(base: type[nn.Module], kind: str, attributes: tuple[str, ...] = ()) -> type[nn.Module]:
    """Return the one generated subclass of `base` of this kind."""
    recipe = (base, kind, attributes)
    if recipe not in _made:
        members = {"adapted": _adapted_members, "frozen": _frozen_members, "folded": _folded_members}[kind]
        shown = {"_recipe": recipe, "__doc__": base.__doc__, "__module__": base.__module__}
        _made[recipe] = type(base.__name__, (Grafted, base), {**shown, **members(base, attributes)})
    return _made[recipe]


def _adapted_members(base: type[nn.Module], attributes: tuple[str, ...]) -> dict[str, Any]:
    def reader(attribute: str) -> Callable[[nn.Module], Tensor]:
        child = slot(attribute)

        def read(self: nn.Module) -> Tensor:
            weight: Tensor = self._modules[child].weight(self._parameters[attribute])  # type: ignore[operator,union-attr]
            return weight

        return read

    return {attribute: property(reader(attribute)) for attribute in attributes}


def _frozen_members(base: type[nn.Module], attributes: tuple[str, ...]) -> dict[str, Any]:
    def train(self: nn.Module, mode: bool = True) -> nn.Module:
        return base.train(self, False)

    return {"train": train}


def _folded_members(base: type[nn.Module], attributes: tuple[str, ...]) -> dict[str, Any]:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        for name in ("drop", "act"):
            child = self._modules.get(name)
            lean = type(child) is nn.ReLU6 and child.inplace and x.requires_grad
            x = ReLU6.apply(x) if lean else x if child is None else child(x)
        return x

    return {**_frozen_members(base, attributes), "forward": forward}
