"""Random draws of a generator of one's own: the one that torch shares among threads is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_IN_PLACE = ("bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "normal_", "random_", "uniform_")
_FRESH = ("bernoulli", "multinomial", "normal", "rand", "randint", "randn", "randperm")
# They hand themselves to the mode as a whole, and what they call inside no more.
_STARTS = (
    *("uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_"),
    *("kaiming_uniform_", "kaiming_normal_", "orthogonal_", "sparse_"),
)
_DRAWS: frozenset[Callable[..., Any]] = frozenset(
    getattr(place, name)
    for place, names in (
        (Tensor, (*_IN_PLACE, "bernoulli", "multinomial")),
        (torch, _FRESH),
        (nn.init, _STARTS),
    )
    for name in names
)


class Draws(TorchFunctionMode):
    """Let what torch draws on the CPU inside the block, in this thread, depend on a seed alone.

    The values are those after `torch.manual_seed(seed)`.
    """

    def __init__(self, seed: int) -> None:
        """Seed the generator."""
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Give a draw the generator, where it has none."""
        given = dict(kwargs or {})
        if func in _DRAWS and given.get("generator") is None and _on_cpu((*args, *given.values()), given.get("device")):
            given["generator"] = self._generator
        return func(*args, **given)


def _on_cpu(arguments: Iterable[Any], device: Any) -> bool:
    """Tell whether a draw is one on the CPU (or on none): another device takes no generator of the CPU."""
    held = next((each.device for each in arguments if isinstance(each, Tensor)), None)
    return torch.device(held or device or torch.get_default_device()).type in ("cpu", "meta")
