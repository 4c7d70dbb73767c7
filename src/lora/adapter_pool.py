"""Many adapters for one backbone: the base is loaded and hashed once, and adapters are switched in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..near import near_names
from .adapter_file import (
    check,
    counts,
    expected,
    fill,
    head_of,
    read_tensors,
)
from .fingerprint import fingerprint
from .header import AdapterError
from .heads import head_state
from .inject import attach, detach, injection_of, refreeze, thaw
from .look import Example
from .merge import remove
from .pooled import PooledAdapter, PooledBlend
from .prepare import Rootstock, is_adapted, prepare
from .undo import undone_on_error


class AdapterPool:
    """Adapter files by name, of which one, or a blend, is active in the model at a time.

    Adapters may differ in rank, kind, targets and classes. Norms stay folded from one adapter to the next. Whatever is
    raised, the model and the pool are as they were before.

    Args:
        model: A plain model, the base of every adapter; the pool changes it in place.
        example: As in `inject`, and the same for every adapter: it decides which norms fold.

    Raises:
        ValueError: The model has adapters.
    """

    def __init__(self, model: nn.Module, example: Example | None = None) -> None:
        if is_adapted(model):
            raise ValueError("an adapter pool needs a plain model: merge or remove its adapters first")
        self.model, self._example = model, example
        self._base = fingerprint(model)  # once: hashing takes longer than switching
        self._base_head = head_state(model)
        self._pooled: dict[str, PooledAdapter] = {}
        self._adapted: list[nn.Module] = []
        self._rootstock: Rootstock | None = None
        self._shown: PooledAdapter | PooledBlend | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the adapters, in the order of loading."""
        return tuple(self._pooled)

    def size(self, name: str) -> int:
        """Return the bytes that the adapter called `name` holds in memory."""
        return self._find(name).bytes

    def load(self, name: str, path: str | Path) -> None:
        """Read an adapter file, or the one in a run folder, and keep it as `name`; the model does not change.

        Raises:
            AdapterError: The file is no adapter, is for another base, or its names, shapes or values do not fit.
            ValueError: The name is taken.
        """
        if name in self._pooled:
            raise ValueError(f"there is an adapter {name!r} in the pool already: give another name")
        path = Path(path)
        header, tensors = read_tensors(path)
        header.check_base(path, self._base)
        shapes = expected(path, self.model, header.settings)
        head = {key: _like(value, tensors.get(key)) for key, value in self._base_head.items()}
        held = {key: value for key, value in head.items() if key in head_of(self.model, tensors)}
        names = tensors.keys() - shapes.keys() - head.keys()
        further = {key: parameter for key, parameter in self.model.named_parameters() if key in names}
        sizes = {key: tuple(value.shape) for key, value in (held | further).items()}
        check(path, shapes | sizes, tensors, counts(held))
        self._check_classes(path, head)
        fill(held, tensors)
        # The modules are made at the first activation, when the norms are folded.
        own = {key: tensors[key] for key in shapes}
        self._pooled[name] = PooledAdapter(
            header.settings, header.folded, head, {key: tensors[key] for key in further}, own
        )

    def activate(self, name: str) -> None:
        """Activate the adapter called `name` with its head; only their tensors are exchanged.

        Raises:
            ValueError: No adapter has that name; near names are listed.
        """
        self._show(self._find(name))

    def blend(self, shares: Mapping[str, float]) -> None:
        """Activate the weighted sum of the updates of several adapters, with the weighted sum of their heads.

        Raises:
            ValueError: No or unknown names, shares that are no finite numbers, or adapters of different classes or
                choices of `fold_norms`.
        """
        if not shares or not all(math.isfinite(share) for share in shares.values()):
            raise ValueError("a blend needs at least one adapter, each with a finite share, as in {'a': 0.5, 'b': 0.5}")
        parts = [(self._find(name), share) for name, share in shares.items()]
        first = parts[0][0]
        for name, (part, _) in zip(shares, parts, strict=True):
            if any(part.head[key].shape != value.shape for key, value in first.head.items()):
                raise ValueError(f"{name!r} has another number of classes: blend adapters of the same classes")
            # A mean of variances is not the variance of any data.
            if not all(torch.equal(part.head[key], value) for key, value in first.statistics.items()):
                raise ValueError(f"{name!r} has other statistics in its head, and no sum of them means anything")
            if part.settings.fold_norms != first.settings.fold_norms:
                raise ValueError(f"{name!r} has another fold_norms: blend adapters with the same choice")
        self._show(PooledBlend(tuple(parts)))

    def deactivate(self) -> None:
        """Restore the base with its own head, bit for bit; without an active adapter nothing changes."""
        if self._rootstock is not None:
            self._refuse_strangers()
            with undone_on_error(self.model.modules(), *self._unfrozen()):
                self._take_out()
            self._rootstock = self._shown = None

    def _show(self, pooled: PooledAdapter | PooledBlend) -> None:
        self._refuse_strangers()
        if (
            self._rootstock is not None
            and self._shown is not None
            and _folds_norms(self._shown) == _folds_norms(pooled)
        ):
            self._exchange(pooled, self._rootstock)
        else:  # with other norms folded, the base itself is another one
            with undone_on_error(self.model.modules(), *self._unfrozen()):
                if self._rootstock is not None:
                    self._take_out()
                rootstock = prepare(self.model, _folds_norms(pooled), self._base, self._example)
                self._exchange(pooled, rootstock)
            self._rootstock = rootstock
        self._shown = pooled

    def _exchange(self, pooled: PooledAdapter | PooledBlend, rootstock: Rootstock) -> None:
        """Exchange the adapters and the head of the prepared model."""
        grafts = pooled.grow(self.model, rootstock)
        adapted = [m for graft in grafts for m in (graft.site.module, *(twin for twin, _ in graft.site.twins))]
        changed = dict.fromkeys([self.model, *self._adapted, *adapted, *map(self._owner, pooled.head)])
        with undone_on_error(changed, *self._unfrozen()):
            self._freeze_again()
            detach(self.model)
            for graft in grafts:
                graft.adapter.to(graft.site.weight.device)
            attach(self.model, pooled.settings, grafts, rootstock)
            _put(self.model, pooled.head)
            values = pooled.values(dict(self.model.named_parameters()))
            if values:
                thaw(self.model, values)
        self._adapted = adapted

    def _owner(self, key: str) -> nn.Module:
        return self.model.get_submodule(key.rpartition(".")[0])

    def _take_out(self) -> None:
        self._freeze_again()
        _put(self.model, self._base_head)
        remove(self.model)

    def _freeze_again(self) -> None:
        """Restore the base's values that the active adapter replaced, and keep what it has learnt for them since."""
        values = refreeze(self.model)
        if values and isinstance(self._shown, PooledAdapter):
            self._shown.further = values

    def _unfrozen(self) -> list[nn.Parameter]:
        """Return the parameters beside the head that some adapter replaces."""
        names = {name for pooled in self._pooled.values() for name in pooled.further}
        if not names:
            return []
        return [parameter for name, parameter in self.model.named_parameters() if name in names]

    def _refuse_strangers(self) -> None:
        if (injection_of(self.model) is None) != (self._rootstock is None):
            raise ValueError(
                "the model was merged, removed or adapted beside the pool: make a new pool on a plain model"
            )

    def _find(self, name: str) -> PooledAdapter:
        if name not in self._pooled:
            near = near_names(name, self.names, 3, 0.3) or self.names
            raise ValueError(
                f"no adapter {name!r} in the pool; near names: {', '.join(near) or 'none, load one first'}"
            )
        return self._pooled[name]

    def _check_classes(self, path: Path, head: Mapping[str, Tensor]) -> None:
        """Refuse a file whose heads have different numbers of classes."""
        # All parts that had as many rows in the base must have equally many in the file.
        changes = {(len(self._base_head[key]), len(value)) for key, value in head.items() if value.ndim}
        if len(changes) > len({before for before, _ in changes}):
            raise AdapterError(f"{path} has heads of different numbers of classes: the file is damaged")


def _folds_norms(pooled: PooledAdapter | PooledBlend) -> bool:
    return pooled.settings.fold_norms


def _like(value: Tensor, tensor: Tensor | None) -> Tensor:
    """Return a new parameter with as many rows as in the file, as classes may differ, or a copy of a statistic."""
    if not isinstance(value, nn.Parameter):
        return value.clone()
    fits = tensor is not None and tensor.ndim == value.ndim and tensor.shape[1:] == value.shape[1:]
    rows = len(tensor) if tensor is not None and fits else len(value)
    return nn.Parameter(value.new_empty(rows, *value.shape[1:]))


def _put(model: nn.Module, head: Mapping[str, Tensor]) -> None:
    """Replace parameters and statistics of the model's head."""
    for key, value in head.items():
        path, _, name = key.rpartition(".")
        owner = model.get_submodule(path)
        held: dict[str, Any] = owner._parameters if isinstance(value, nn.Parameter) else owner._buffers
        value.data = value.data.to(held[name].device)
        held[name] = value
        if isinstance(owner, nn.Linear):  # timm and exporters read the attribute, not the shape
            owner.out_features = len(value)


Shelf = AdapterPool  # its earlier name
