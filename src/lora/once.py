"""Adapted weights that are computed once for many forwards of a model that no longer learns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from .adapters import Adapter
from .inject import adapters
from .look import in_eval
from .surgery import slot


class Computed(Adapter):
    """The adapted weight itself, in place of the adapter that computes it at each read."""

    kind = "computed"

    def __init__(self, value: Tensor) -> None:
        nn.Module.__init__(self)
        self.value = value

    def weight(self, base: Tensor) -> Tensor:
        """Return W', whatever `base` is."""
        return self.value


@contextmanager
def weights_once(model: nn.Module) -> Iterator[None]:
    """Compute every adapted weight once for all forwards inside: the very tensors that each forward would compute.

    Unlike `merge`, it leaves layers, memory formats and thereby every bit of the outputs as they are, and the model is
    as it was after the block. Inside, no adapter may be trained. Memory holds one more copy of the adapted weights.

    Args:
        model: A model in eval mode; one without adapters is left alone.
    """
    held = list(adapters(model))
    try:
        for module, attribute, adapter in held:
            base = module._parameters[attribute]
            assert base is not None
            with in_eval(adapter):
                module._modules[slot(attribute)] = Computed(adapter.weight(base))
        yield
    finally:
        for module, attribute, adapter in held:
            module._modules[slot(attribute)] = adapter
