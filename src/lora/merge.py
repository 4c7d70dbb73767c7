"""Merge adapters into the weights of a model, or remove them."""

from __future__ import annotations

from torch import Tensor, nn

from .fold import folded_norms, unfold
from .inject import Injection, adapters, detach, injection_of
from .look import in_eval
from .notes import forget
from .prepare import NOTE
from .surgery import is_held, restore_class
from .undo import undone_on_error


def merge(model: nn.Module) -> nn.Module:
    """Write W' into the weights of `model`, in place, and restore plain modules and keys.

    Whatever is raised, the model is as it was before.
    """
    merged = _merged(model)  # first: W' needs the adapters and the folded weights
    with undone_on_error(model.modules(), *(base for base, _ in merged)):
        remove(model)
        # Into the tensor itself: other modules may hold it, as tied weights.
        for base, weight in merged:
            base.data.copy_(weight)
    return model


def _merged(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Return the plain weights, each with its W'."""
    folded, merged = folded_norms(model), list[tuple[Tensor, Tensor]]()
    for module, attribute, adapter in adapters(model):
        base = module._parameters[attribute]
        assert base is not None
        with in_eval(adapter):
            weight = adapter.weight(base)
        fold = folded.get(id(module))
        merged.append((base, weight) if fold is None else (fold.weight, fold.unfolded(weight)))
    injection, parameters = injection_of(model), dict(model.named_parameters())
    replaced = () if injection is None else injection.replaced
    return merged + [(parameters[name], parameters[name].detach().clone()) for name in replaced]


def remove(model: nn.Module) -> nn.Module:
    """Remove the adapters of `model`, in place: weights, statistics and classes are the original ones, bit for bit.

    Whatever is raised, the model is as it was before.
    """
    injection = injection_of(model)
    if injection is None:
        raise ValueError("this model has no adapters to merge or remove")
    parameters = dict(model.named_parameters())
    replaced = [(parameters[name], value) for name, value in injection.replaced.items()]
    with undone_on_error(model.modules(), *(parameter for parameter, _ in replaced)):
        detach(model)
        for parameter, value in replaced:
            parameter.data.copy_(value)
        _restore(model, injection)
        forget(model, NOTE)
    return model


def _restore(model: nn.Module, before: Injection) -> None:
    """Undo `prepare`: restore the original weights, statistics and classes, bit for bit.

    A frozen norm gets the mode of the model, or its own one where it differed before: users freeze norms as well.
    """
    for name, module in list(model.named_modules()):
        for part_name, part in module.named_modules(prefix=name) if is_held(module) else ():
            part.training = before.held.get(part_name, model.training)
        unfold(module)
        restore_class(module)
    trained = set(before.thawed)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
