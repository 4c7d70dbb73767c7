"""All or nothing: whatever is raised on the way, a model is given back as it was, bit for bit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


class State:
    """What a model is: classes, attributes, children, hooks, modes, and which tensors it holds and trains.

    Args:
        model: The model; only references to its tensors are kept, so that large ones cost nothing.
        written: Tensors whose values may change, in the model or not: these are copied.
    """

    def __init__(self, model: nn.Module, written: Iterable[Tensor]) -> None:
        self._modules = [
            (module, module.__class__, dict(module.__dict__), [*map(_contents, module.__dict__.values())])
            for module in model.modules()
        ]
        values = [*written]
        self._tensors = [(tensor, tensor.data, tensor.requires_grad) for tensor in (*model.parameters(), *values)]
        self._values = [(tensor.data, tensor.detach().clone()) for tensor in values]

    def restore(self) -> None:
        """Make the model what it was."""
        for module, kind, attributes, tables in self._modules:
            module.__class__ = kind
            module.__dict__.clear()
            module.__dict__.update(attributes)
            for table, contents in zip(attributes.values(), tables, strict=True):
                _refill(table, contents)
        for tensor, data, requires_grad in self._tensors:
            tensor.data = data
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
        for data, value in self._values:
            data.copy_(value)


@contextmanager
def undone_on_error(model: nn.Module, *written: Tensor) -> Iterator[None]:
    """Make `model` what it was before if anything is raised inside, a stop by the keyboard included.

    Args:
        model: The model that is changed inside.
        written: The tensors whose values are overwritten inside.
    """
    state = State(model, written)
    try:
        yield
    except BaseException:
        state.restore()
        raise


def _contents(value: Any) -> Any:
    """Return a copy of a table that a module keeps (of children, parameters, hooks, ...), None of anything else."""
    if type(value) in (dict, OrderedDict, list, set):
        return value.copy()
    return None


def _refill(table: Any, contents: Any) -> None:
    if isinstance(contents, list):
        table[:] = contents
    elif contents is not None:
        table.clear()
        table.update(contents)
