"""The same random numbers in each run of a model, without touching the generators where the model draws none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


@contextmanager
def seeded(devices: Iterable[torch.device]) -> Iterator[None]:
    """Seed torch with 0 before the first random operator of the block, and restore its state at the end.

    Dropout has no generator argument, so the global ones are seeded. A model that draws nothing leaves them alone:
    other threads may draw from them at the same time.

    Args:
        devices: The CUDA devices whose generators are seeded, beside that of the CPU.
    """
    with ExitStack() as state, _Seeding(devices, state):
        yield


class _Seeding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator. `__exit__` is torch's own: a Ctrl-C at the start of ours would leave the mode on."""

    def __init__(self, devices: Iterable[torch.device], state: ExitStack) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._devices, self._state, self._seeded = list(devices), state, False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Seed before the first random operator; every operator runs as it is."""
        if not self._seeded and torch.Tag.nondeterministic_seeded in func.tags:
            self._seed()
        return func(*args, **(kwargs or {}))

    def _seed(self) -> None:
        self._seeded = True
        self._state.enter_context(torch.random.fork_rng(self._devices))
        torch.default_generator.manual_seed(0)
        for device in self._devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(0)
