"""All or nothing: restore modules bit for bit when anything is raised."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

# Containers in which modules keep children, parameters, hooks and more.
TABLES = frozenset({dict, OrderedDict, list, set})


class State:
    """The state of modules: classes, attributes, children, hooks, modes, and their tensors with `requires_grad`.

    Args:
        modules: The modules that may change; their tensors are referenced, not copied, so that large ones cost nothing.
        written: Tensors whose values may change, in the modules or not; these are copied.
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
        """Restore the modules and tensors."""
        for module, kind, attributes, tables, mode in self._modules:
            module.__class__ = kind
            module.__dict__.clear()
            module.__dict__.update(attributes)
            # Refilled in place: handles of hooks refer to these very containers.
            for table, contents in tables:
                _refill(table, contents)
            if module.training != mode:  # a scripted module does not keep it in __dict__
                module.training = mode
        for tensor, data, requires_grad in self._tensors:
            tensor.data = data
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
        for data, value in self._values:
            data.copy_(value)


@contextmanager
def undone_on_error(modules: Iterable[nn.Module], *written: Tensor) -> Iterator[None]:
    """Restore modules if the block raises anything, Ctrl-C included.

    The block runs outside inference mode: tensors that are created in that mode can never be trained.

    Args:
        modules: The modules that the block may change, as a rule `model.modules()`.
        written: Tensors whose values the block overwrites.
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
