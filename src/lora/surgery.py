"""Replace the class of a module in place by a generated subclass, which can be pickled, copied and undone.

Parameters keep their keys; only the behaviour of the class changes. `restore_class` restores the class, so that a
merged model consists of the very classes that timm built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .engine.attention import FastAttention
from .engine.modes import is_recorded, is_transformed
from .engine.readonly import ReadOnly
from .engine.recompute import remember
from .engine.weight import AdaptedWeight, LeanWeight, is_activated
from .fusion import fused_activation, is_hooked
from .notes import forget, note, noted

Trait = tuple[str, tuple[str, ...]]  # a key of `_MEMBERS`, and the attributes that it changes
Made = tuple[type[nn.Module], tuple[Trait, ...]]
FOLD = "fold"  # key of the note on a folded norm

_made: dict[Made, type[nn.Module]] = {}


class Grafted:
    """Marks a generated class and records the plain class and the traits that were added to it, in order."""

    _graft_made_of: Made

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle plain class and traits, since a generated class has no importable name."""
        return _rebuild, self._graft_made_of, self.__dict__.copy()

    def __prepare_scriptable__(self) -> nn.Module:
        """Refuse `torch.jit.script`, which compiles the source of a class but no property."""
        raise ValueError("torch.jit.script takes no adapted model: merge(model) first, or use torch.jit.trace")


def slot(attribute: str) -> str:
    """Return the name of the child module that adapts `attribute`."""
    return f"{attribute}_adapter"


def make_adaptable(module: nn.Module, attributes: tuple[str, ...]) -> None:
    """Make each of `attributes` return W': the frozen W with the update of the child `slot(attribute)`, if any.

    W itself stays in `_parameters`. Where gradients are computed, W' is a `LeanWeight`.
    """
    _add(module, "adaptable", attributes)


def freeze_norm(module: nn.Module) -> None:
    """Keep a norm in eval mode whatever mode the model is set to, so that its running statistics never change."""
    _add(module, "frozen")
    module.train(False)  # the class alone would not undo a mode that was set before


def pass_through(module: nn.Module) -> None:
    """Make a folded batch norm apply only what timm puts behind the norm (drop and act)."""
    _add(module, "folded")
    module.train(False)


def is_held(module: nn.Module) -> bool:
    """Return whether `module` stays in eval mode, with all its parts, whatever mode the model is set to."""
    return isinstance(module, Grafted) and any(kind in ("frozen", "folded") for kind, _ in module._graft_made_of[1])


def act_once(module: nn.Module) -> None:
    """Make a ReLU skip outputs to which the convolution has applied it already."""
    _add(module, "once")


def make_recomputable(module: nn.Module) -> None:
    """Let the layers behind a norm or an activation save its input for the backward instead of its output."""
    if getattr(module, "inplace", False):
        module.inplace = False  # type: ignore[assignment]  # the input has to survive
        note(module, "was_inplace", True)
    _add(module, "recomputable")


def speed_attention(module: nn.Module) -> None:
    """Give the attention inside `module` its faster backward."""
    _add(module, "attentive")


def restore_class(module: nn.Module) -> None:
    """Restore the plain class of `module`."""
    if isinstance(module, Grafted):
        module.__class__ = module._graft_made_of[0]  # type: ignore[assignment]
    if forget(module, "was_inplace"):
        module.inplace = True  # type: ignore[assignment]


def _add(module: nn.Module, kind: str, attributes: tuple[str, ...] = ()) -> None:
    plain, traits = module._graft_made_of if isinstance(module, Grafted) else (type(module), ())
    module.__class__ = _derive(plain, (*traits, (kind, attributes)))


def _rebuild(plain: type[nn.Module], traits: tuple[Trait, ...]) -> nn.Module:
    cls = _derive(plain, traits)
    return cls.__new__(cls)


def _derive(plain: type[nn.Module], traits: tuple[Trait, ...]) -> type[nn.Module]:
    """Return the subclass of `plain` with these traits, generated once: equal modules keep equal types."""
    if not traits:
        return plain
    made = (plain, traits)
    if made not in _made:
        base, (kind, attributes) = _derive(plain, traits[:-1]), traits[-1]
        shown = {"_graft_made_of": made, "__doc__": plain.__doc__, "__module__": plain.__module__}
        bases = (base,) if issubclass(base, Grafted) else (Grafted, base)
        _made[made] = type(plain.__name__, bases, {**shown, **_MEMBERS[kind](base, attributes)})
    return _made[made]


def _adaptable_members(base: type[nn.Module], attributes: tuple[str, ...]) -> dict[str, Any]:
    def reader(attribute: str) -> Callable[[nn.Module], Tensor | None]:
        child = slot(attribute)

        def read(self: nn.Module) -> Tensor | None:
            held = self.__dict__["_former_parameters"] if _is_replica(self) else self._parameters
            weight = held[attribute]
            adapter = self._modules.get(child)
            read: Any = weight if adapter is None else adapter.weight(weight)  # type: ignore[operator]
            # Compilers and transforms trace plain tensors only.
            if is_transformed():
                return read  # type: ignore[no-any-return]
            plain = type(read) in (Tensor, nn.Parameter)
            if not torch.is_grad_enabled():
                return read.as_subclass(ReadOnly) if plain and adapter is not None else read  # type: ignore[no-any-return]
            if plain:
                read = LeanWeight.of(read) if adapter is None else AdaptedWeight.of(read)
            if isinstance(read, LeanWeight):
                read.act = fused_activation(self)
            return read  # type: ignore[no-any-return]

        return read

    def writer(attribute: str) -> Callable[[nn.Module, Tensor], None]:
        def write(self: nn.Module, weight: Tensor) -> None:
            """Let `DataParallel` set the weight of a replica; the reader takes it from `_former_parameters`."""
            if not _is_replica(self):
                raise AttributeError(f"{attribute} of an adapted layer is made at each read: merge(model) first")

        return write

    return {attribute: property(reader(attribute), writer(attribute)) for attribute in attributes}


def _is_replica(module: nn.Module) -> bool:
    """Return whether `module` is a replica of `DataParallel`, which has no parameters."""
    return "_is_replica" in module.__dict__


def _frozen_members(base: type[nn.Module], attributes: tuple[str, ...]) -> dict[str, Any]:
    def train(self: nn.Module, mode: bool = True) -> nn.Module:
        return base.train(self, False)

    return {"train": train}


def _folded_members(base: type[nn.Module], attributes: tuple[str, ...]) -> dict[str, Any]:
    def forward(self: nn.Module, *args: Tensor, **kwargs: Tensor) -> Tensor:
        (x,) = (*args, *kwargs.values())
        if not is_transformed() and is_hooked(noted(self, FOLD).conv):
            x = x.clone()  # a hook may keep the conv's output, which an activation would overwrite
        for name in ("drop", "act"):
            child = self._modules.get(name)
            x = x if child is None else child(x)
        return x

    return {**_frozen_members(base, attributes), "forward": forward}


def _once_members(base: type[nn.Module], attributes: tuple[str, ...]) -> dict[str, Any]:
    def forward(self: nn.Module, *args: Tensor, **kwargs: Tensor) -> Any:
        (x,) = (*args, *kwargs.values())
        return x if is_activated(x, type(self).__name__) else base.forward(self, x)

    return {"forward": forward}


def _recomputable_members(base: type[nn.Module], attributes: tuple[str, ...]) -> dict[str, Any]:
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        y = base.forward(self, *args, **kwargs)
        # Only a function of one tensor can be recomputed from it.
        one = not kwargs and len(args) == 1 and y is not args[0]
        if not one or not is_recorded():
            return y
        return remember(y, args[0], lambda source: base.forward(self, source))

    return {"forward": forward}


def _attentive_members(base: type[nn.Module], attributes: tuple[str, ...]) -> dict[str, Any]:
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not is_recorded():
            return base.forward(self, *args, **kwargs)
        with FastAttention():
            return base.forward(self, *args, **kwargs)

    return {"forward": forward}


_MEMBERS: dict[str, Callable[[type[nn.Module], tuple[str, ...]], dict[str, Any]]] = {
    "adaptable": _adaptable_members,
    "frozen": _frozen_members,
    "folded": _folded_members,
    "once": _once_members,
    "recomputable": _recomputable_members,
    "attentive": _attentive_members,
}
