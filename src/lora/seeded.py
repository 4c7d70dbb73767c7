"""The same random numbers at each run of a model, from the process's generators only where the model draws at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


@contextmanager
def seeded(devices: Iterable[torch.device]) -> Iterator[None]:
    """Seed torch with 0 as the first operator inside that draws is called, and give its state back at the end.

    Dropout takes no generator of its own. A model that draws nothing leaves the generators alone, which other threads
    use at the same time.

    Args:
        devices: The CUDA devices whose generators count, beside that of the CPU.
    """
    with ExitStack() as state, _Seeding(devices, state):
        yield


class _Seeding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator. Its exit is torch's: a stop at the beginning of one of ours would leave it switched on."""

    def __init__(self, devices: Iterable[torch.device], state: ExitStack) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._devices, self._state, self._seeded = list(devices), state, False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Seed before the first draw; the operator itself stays what it is."""
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
