"""A read-only tensor for weights that are computed at each read, where a write would be lost without a word."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor


class ReadOnly(torch.Tensor):
    """A tensor that operators read as any other; writing to it, or asking for its gradient, raises."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def plain(self) -> Tensor:
        """Return the values as a plain tensor."""
        return self.as_subclass(torch.Tensor)

    def detach(self) -> Tensor:
        """Return the values without their graph, read-only as well."""
        return self.plain().detach().as_subclass(ReadOnly)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """Copy the values into a plain tensor."""
        return copy.deepcopy(self.plain(), memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the values."""
        return self.plain().__reduce_ex__(protocol)  # type: ignore[no-untyped-call]


def _refuse(what: str) -> Callable[..., Any]:
    def refuse(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(
            f"{what} of an adapted weight would be lost: it is made anew, from W and its adapter, at each read. "
            "merge(model) or remove(model) first; clone() what is read to have it as a tensor of your own"
        )

    return refuse


def _part(name: str) -> Callable[..., Any]:
    """Return the method of tensors that returns a view, which is read-only as well."""

    def read(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        found = getattr(Tensor, name)(self, *args, **kwargs)
        return found.as_subclass(ReadOnly) if found._is_view() else found

    return read


def _writers() -> Iterator[str]:
    """Yield the names of the methods that change a tensor, or its state in autograd, in place."""
    yield from (name for name in dir(torch.Tensor) if name.endswith("_") and not name.startswith("_"))
    operators = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift")
    yield from (f"__i{operator}__" for operator in operators)
    yield from ("__setitem__", "retain_grad", "register_hook", "register_post_accumulate_grad_hook")


def _requires_grad(self: Tensor) -> bool:
    return torch.Tensor.requires_grad.__get__(self)  # type: ignore[attr-defined, no-any-return]


_PARTS = ("select", "narrow", "diagonal", "view", "view_as", "reshape", "flatten", "permute", "transpose", "t")
for _name in ("__getitem__", *_PARTS, "squeeze", "unsqueeze"):
    setattr(ReadOnly, _name, _part(_name))
for _name in _writers():
    setattr(ReadOnly, _name, _refuse(f"{_name}()"))
_READ = {"data": ReadOnly.detach, "grad": _refuse("grad"), "requires_grad": _requires_grad}
for _name, _get in _READ.items():
    setattr(ReadOnly, _name, property(_get, _refuse(f"setting {_name}")))
