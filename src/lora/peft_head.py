"""`modules_to_save` of Hugging Face PEFT: the modules that a folder holds whole, such as the head.

PEFT matches suffixes of names, so that `head` matches `aux_head` as well, and it cannot save a list of modules. So each
module with parameters or buffers of its own is named, and whatever else the names match is saved too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from .adapters import Adapter
from .targets import classifiers


def names_to_save(model: nn.Module, adapted: Iterable[str]) -> list[str]:
    """Return the names of the modules that are trained beside the adapters: those of the heads, and unfrozen ones.

    Raises:
        ValueError: PEFT would take one of the `adapted` layers for such a module, or cannot save a parameter alone.
    """
    heads = {id(module) for head in classifiers(model) for module in head.modules()}
    adapters = {id(part) for module in model.modules() if isinstance(module, Adapter) for part in module.modules()}
    names = [
        name
        for name, module in model.named_modules()
        if id(module) not in adapters and (_has_own(module) if id(module) in heads else _unfrozen(module))
    ]
    if "" in names:
        parameter = _unfrozen(model)
        raise ValueError(f"PEFT saves whole modules, not {parameter} of the model itself: keep Graft's own file")
    taken = next((layer for layer in adapted if is_saved(layer, names)), None)
    if taken is not None:
        raise ValueError(
            f"PEFT would save {taken} whole, since its name ends as that of a module that is saved so "
            f"({', '.join(names)}): leave it out of lora.targets, or keep Graft's own file"
        )
    return names


def is_saved(layer: str, names: Sequence[str]) -> bool:
    """Return whether `names` match the layer or a module that contains it."""
    parts = layer.split(".")
    return any(".".join(parts[:end]).endswith(tuple(names)) for end in range(1, len(parts) + 1))


def saved(model: nn.Module, names: Sequence[str]) -> dict[str, Tensor]:
    """Return parameters and buffers of the modules that `names` match, by their names in `model`."""
    return {
        f"{name}.{key}": value
        for name, module in model.named_modules(remove_duplicate=False)
        if name.endswith(tuple(names))
        for key, value in module.state_dict(keep_vars=True).items()
        if isinstance(value, Tensor)
    }


def _unfrozen(module: nn.Module) -> str | None:
    """Return the name of a trainable parameter of the module itself, or None."""
    return next((name for name, value in module._parameters.items() if value is not None and value.requires_grad), None)


def _has_own(module: nn.Module) -> bool:
    return any(value is not None for values in (module._parameters, module._buffers) for value in values.values())
