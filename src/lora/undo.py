"""All or nothing: whatever is raised on the way, modules are given back as they were, bit for bit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

TABLES = frozenset({dict, OrderedDict, list, set})  # what modules keep children, parameters, hooks, ... in


class State:
    """What modules are: classes, attributes, children, hooks, modes, and which tensors they hold and train.

    Args:
        modules: All that may be changed; only references to their tensors are kept, so that large ones cost nothing.
        written: Tensors whose values may change, in the modules or not: these are copied.
    """

    def __init__(self, modules: Iterable[nn.Module], written: Iterable[Tensor]) -> None:
        self._modules, values = [], [*written]
        tensors = {id(tensor): tensor for tensor in values}
        for module in modules:
            attributes = module.__dict__.copy()
            tables = [(table, table.copy()) for table in attributes.values() if type(table) in TABLES]
            self._modules.append((module, module.__class__, attributes, tables, module.training))
            tensors |= {id(tensor): tensor for tensor in module._parameters.values() if tensor is not None}
        self._tensors = [(tensor, tensor.data, tensor.requires_grad) for tensor in tensors.values()]
        self._values = [(tensor.data, tensor.detach().clone()) for tensor in values]

    def restore(self) -> None:
        """Make the modules what they were."""
        for module, kind, attributes, tables, mode in self._modules:
            module.__class__ = kind
            module.__dict__.clear()
            module.__dict__.update(attributes)
            for table, contents in tables:
                _refill(table, contents)
            if module.training != mode:  # a scripted module keeps it elsewhere
                module.training = mode
        for tensor, data, requires_grad in self._tensors:
            tensor.data = data
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
        for data, value in self._values:
            data.copy_(value)


@contextmanager
def undone_on_error(modules: Iterable[nn.Module], *written: Tensor) -> Iterator[None]:
    """Make modules what they were before if anything is raised inside, a stop by the keyboard included.

    Inference mode is left inside: what is made in it could not be trained later.

    Args:
        modules: All that may be changed inside, as a rule `model.modules()`.
        written: The tensors whose values are overwritten inside.
    """
    with ExitStack() as modes:
        if torch.is_inference_mode_enabled():
            modes.enter_context(torch.inference_mode(False))
            modes.enter_context(torch.no_grad())
        state = State(modules, written)
        try:
            yield
        except BaseException:
            state.restore()
            raise


def _refill(table: Any, contents: Any) -> None:
    if isinstance(table, list):
        table[:] = contents
    else:
        table.clear()
        table.update(contents)
