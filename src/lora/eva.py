"""Initialise adapters by the principal directions of a layer's inputs (EVA, arXiv 2410.07170)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from .adapters import LowRank
from .inject import injection_of
from .look import in_eval

log = logging.getLogger(__name__)
SPARE = 8  # further directions kept between batches: a weak one may become a leading one


def eva(model: nn.Module, batches: Iterable[Tensor]) -> tuple[str, ...]:
    """Set A of every low-rank adapter to the leading right singular vectors of its layer's inputs.

    The model's outputs do not change, since B is 0. Only the leading directions are kept between batches, so memory
    does not grow with their number.

    Args:
        model: A model fresh from `inject`, with any `init` but `pissa`.
        batches: Inputs of the model, N x C x H x W each; a few are enough.

    Returns:
        The layers that keep their random A because neither `linear` nor `conv2d` reads their weight; a warning lists
        them too.

    Raises:
        ValueError: No low-rank adapters, adapters that are trained already, or no batches.
    """
    # EVA may only replace A as long as B is 0: afterwards it would change the outputs.
    pairs = {name: child for name, child in model.named_modules() if isinstance(child, LowRank)}
    if injection_of(model) is None or not pairs or any(bool(adapter.B.any()) for adapter in pairs.values()):
        raise ValueError(
            "eva needs low-rank adapters fresh from inject, whose B is 0 (not init='pissa'): call it first"
        )
    seen: dict[LowRank, Tensor] = {}
    with in_eval(model), _watched(pairs.values(), seen):
        for batch in batches:
            model(batch)
    if not seen:
        raise ValueError("eva saw no inputs of any adapted layer: give at least one batch of images")
    for adapter, directions in seen.items():
        kept = nn.functional.normalize(directions[: len(adapter.A)], dim=1)
        # A layer with fewer inputs than ranks keeps its random rows for the others.
        adapter.A.data[: len(kept)].copy_(kept)
    unseen = tuple(name.rpartition(".")[0] for name, adapter in pairs.items() if adapter not in seen)
    if unseen:
        log.warning("eva leaves the random A of layers whose inputs it cannot see: %s", ", ".join(unseen))
    return unseen


class WatchedWeight(torch.Tensor):
    """A weight, or a tensor computed from it, that reports the inputs that it is multiplied with."""

    tell: Callable[[Tensor], None]

    @classmethod
    def of(cls, weight: Tensor, tell: Callable[[Tensor], None]) -> WatchedWeight:
        """Return `weight` as one that calls `tell` with the rows (N x fan_in) that it is multiplied with."""
        watched = weight.detach().as_subclass(cls)
        watched.tell = tell
        return watched

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Report the inputs of linear and conv2d; what is computed from a watched weight is watched."""
        kwargs = kwargs or {}
        values = [*args, *kwargs.values()]
        tell = next((value.tell for value in values if isinstance(value, WatchedWeight)), None)
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
            if func in _ROWS:
                _ROWS[func](tell, *args, **kwargs)
            elif isinstance(result, Tensor) and tell is not None:  # as weight standardisation makes it
                return cls.of(result, tell)
        return result


def _linear_rows(tell: Callable[[Tensor], None], input: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:
    tell(input.reshape(-1, input.shape[-1]))


def _conv_rows(
    tell: Callable[[Tensor], None],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> None:
    kernel = weight.shape[2:]
    if isinstance(padding, str):
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(_pair(dilation), kernel, strict=True)]
        (top, left), padding = (total[0] // 2, total[1] // 2), 0
        input = F.pad(input, (left, total[1] - left, top, total[0] - top))
    patches = F.unfold(input, kernel, dilation, padding, stride)
    tell(patches.view(len(patches), groups, -1, patches.shape[-1]).transpose(2, 3).flatten(0, -2))


_ROWS: dict[Any, Callable[..., None]] = {F.linear: _linear_rows, torch.conv2d: _conv_rows}


@contextmanager
def _watched(adapters: Iterable[LowRank], seen: dict[LowRank, Tensor]) -> Iterator[None]:
    """Let every adapter return a watched weight, and collect the leading directions of its inputs in `seen`."""
    watched = list(adapters)
    for adapter in watched:
        adapter.__dict__["weight"] = _reader(adapter, seen)
    try:
        yield
    finally:
        for adapter in watched:
            del adapter.__dict__["weight"]


def _reader(adapter: LowRank, seen: dict[LowRank, Tensor]) -> Callable[[Tensor], Tensor]:
    def tell(rows: Tensor) -> None:
        rows = rows.to(adapter.A)
        known = torch.cat([seen[adapter], rows]) if adapter in seen else rows
        seen[adapter] = leading(known, len(adapter.A) + SPARE)

    return lambda base: WatchedWeight.of(type(adapter).weight(adapter, base), tell)


def leading(rows: Tensor, count: int) -> Tensor:
    """Return the `count` leading right singular vectors of `rows`, each times its singular value (count x fan_in).

    Computed from the smaller Gram matrix in float64, which is faster than a decomposition of the rows.
    """
    rows = rows.double()
    wide = rows.shape[0] < rows.shape[1]
    values, vectors = torch.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    values, vectors = values.flip(0)[:count].clamp_min(0), vectors.flip(1)[:, :count]
    scaled: Tensor = vectors.T @ rows if wide else vectors.T * values.sqrt()[:, None]
    return scaled
