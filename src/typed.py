"""Check a config's values against the annotations of what they are given to, before anything is done with them."""

from __future__ import annotations

import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Union

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from .near import near_names

_WANTED = {int: "a whole number", float: "a number", bool: "true or false"}
_LARGEST = 3.4e38  # of float32
_LONGEST = 2**63  # of what torch and numpy count with


def require_types(config: DictConfig) -> None:
    """Refuse unknown parameters, words where numbers belong, and the like, in every node of `config` with a `_target_`.

    Lists and nodes are left to the code that reads them, and so is what the annotations leave open. Text takes
    everything: a class may be called 3, which the command line reads as a number.

    Raises:
        ValueError: A key is none that its target takes, a number is beyond what torch holds, or a value is of another
            type than the parameter that it is given to; the message names the key.
    """
    for key, known in find_unknown(config):
        raise ValueError(takes(key, known))
    for place, node, target in _targets(config):
        hints = _hints(target)
        for name, written in node.items():
            value, hint = OmegaConf.select(config, f"{place}{name}"), hints.get(name, Any)
            if isinstance(value, (str, int, float, NoneType)) and written != "???" and not _fits(value, hint):
                wanted = " or ".join(_WANTED[kind] for kind in _WANTED if kind in _leaves(hint))
                told = re.fullmatch(r"\$\{([\w.]+)\}", str(written))
                raise ValueError(
                    f"{told[1] if told else f'{place}{name}'}={'null' if value is None else value} is not "
                    f"{wanted or 'what it takes'}: correct the value"
                )
            if not _in_range(value):
                raise ValueError(f"{place}{name}={value} is out of range: correct the value")


def takes(key: str, known: Sequence[str]) -> str:
    """Return what to say of a key for which its target takes no parameter."""
    place, _, name = key.rpartition(".")
    close = near_names(name, known)
    return f"there is no {key} ({f'did you mean {close[0]}?' if close else f'{place} takes ' + ', '.join(known)})"


def find_unknown(config: DictConfig) -> Iterator[tuple[str, list[str]]]:
    """Yield every key that its target takes no parameter for, with the names that it takes."""
    for place, node, target in _targets(config):
        known = _parameters(target)
        for name in node:
            if known is not None and not name.startswith("_") and name not in known:
                yield f"{place}{name}", known


def _targets(config: DictConfig) -> Iterator[tuple[str, dict[str, Any], Callable[..., Any]]]:
    """Yield place, content and target of every node that has one."""
    for place, node in _nodes(OmegaConf.to_container(config), ""):
        try:
            yield place, node, get_object(OmegaConf.select(config, f"{place}_target_"))
        except ImportError:  # Hydra says it when it calls the target
            continue


def _in_range(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) and abs(value) < _LARGEST
    return not isinstance(value, int) or abs(value) < _LONGEST


def _nodes(content: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(content, dict):
        return
    if "_target_" in content:
        yield place, content
    for name, part in content.items():
        yield from _nodes(part, f"{place}{name}.")


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of every parameter, those that a subclass hands on to its base included."""
    found: dict[str, Any] = {}
    for function in _functions(target):
        try:
            hints = typing.get_type_hints(function)
        except (NameError, TypeError):  # annotated with what only a type checker imports, or written in C
            continue
        for name, hint in hints.items():
            if typing.get_origin(hint) is typing.Unpack:
                found = {**typing.get_type_hints(typing.get_args(hint)[0]), **found}
            found.setdefault(name, hint)
    return found


def _parameters(target: Callable[..., Any]) -> list[str] | None:
    """Return the names that a target takes, those that a subclass hands on included; None where it takes any."""
    ours, found = target.__module__.startswith("src."), {"self"}  # our classes hand on what they do not take themselves
    for function in _functions(target):
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # written in C
            return None
        found |= {each.name for each in parameters}
        more = {each.name for each in parameters if each.kind is each.VAR_KEYWORD}
        if unpacked := _unpacked(function):  # says all that there is
            return sorted((found | unpacked) - more - {"self"})
        if not more:
            return sorted(found - {"self"})
        if not ours:
            return None
        found -= more
    return None


def _unpacked(function: Callable[..., Any]) -> set[str]:
    """Return the names in an `Unpack[...]` of what a function takes by keyword."""
    try:
        hints = typing.get_type_hints(function).values()
    except (NameError, TypeError):
        return set()
    kinds = [typing.get_args(hint)[0] for hint in hints if typing.get_origin(hint) is typing.Unpack]
    return {name for kind in kinds for name in typing.get_type_hints(kind)}


def _functions(target: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return what is called: of a class its constructors, from the subclass up."""
    if not inspect.isclass(target):
        return [target]
    return [vars(base)["__init__"] for base in target.__mro__ if "__init__" in vars(base)]


def _leaves(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (Union, types.UnionType):
        return tuple(leaf for part in typing.get_args(hint) for leaf in _leaves(part))
    return (hint,)


def _fits(value: str | float | None, hint: Any) -> bool:
    if value is None:  # only where nothing but a number or a yes can be meant
        return not set(_leaves(hint)) <= set(_WANTED)
    return any(_is(value, leaf) for leaf in _leaves(hint))


def _is(value: str | float, leaf: Any) -> bool:
    kind = typing.get_origin(leaf) or leaf
    if kind is Any or kind is str or not isinstance(kind, type):  # a Literal, a type variable
        return True
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is float:
        return isinstance(value, (int, float))
    if isinstance(value, str) and kind is not str:  # a sequence of letters is none of names
        return issubclass(Path, kind)
    return isinstance(value, kind) or issubclass(Path, kind)


def given(node: DictConfig | None) -> dict[str, Any]:
    """Return what the user gave of a node whose values are all missing else (`???`)."""
    return {} if node is None else {str(key): node[key] for key in node if not OmegaConf.is_missing(node, key)}
