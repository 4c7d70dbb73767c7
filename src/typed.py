"""Check a config's values against the annotations of what they are given to, before any of that is imported."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from .near import near_names
from .signatures import ANY, Kind, Signature, read_signature

_WANTED = {"int": "a whole number", "float": "a number", "bool": "true or false", "path": "a path"}
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
    for place, node, signature in _signatures(config):
        for name, written in node.items():
            value, parameter = OmegaConf.select(config, f"{place}{name}"), signature.parameters.get(name)
            plain = isinstance(value, (str, int, float, NoneType)) and written != "???"
            if plain and parameter is not None and not _fits(value, parameter.kinds()):
                told = re.fullmatch(r"\$\{([\w.]+)\}", str(written))
                raise ValueError(_refusal(told[1] if told else f"{place}{name}", value, list(parameter.kinds())))
            if not _in_range(value):
                raise ValueError(f"{place}{name}={value} is out of range: correct the value")


def takes(key: str, known: Sequence[str]) -> str:
    """Return what to say of a key for which its target takes no parameter."""
    place, _, name = key.rpartition(".")
    close = near_names(name, known)
    return f"there is no {key} ({f'did you mean {close[0]}?' if close else f'{place} takes ' + ', '.join(known)})"


def find_unknown(config: DictConfig) -> Iterator[tuple[str, list[str]]]:
    """Yield every key that its target takes no parameter for, with the names that it takes."""
    for place, node, signature in _signatures(config):
        if not signature.open:
            known = sorted(signature.parameters)
            for name in node:
                if not name.startswith("_") and name not in known:
                    yield f"{place}{name}", known


def _signatures(config: DictConfig) -> Iterator[tuple[str, dict[str, Any], Signature]]:
    """Yield place, content and signature of every node that has a target whose source can be read."""
    for place, node in _nodes(OmegaConf.to_container(config), ""):
        signature = read_signature(str(OmegaConf.select(config, f"{place}_target_")))
        if signature is not None:  # else Hydra says it when it calls the target
            yield place, node, signature


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


def _refusal(key: str, value: object, kinds: Sequence[Kind]) -> str:
    *others, last = [*(_WANTED[kind] for kind in _WANTED if kind in kinds), *_choices(kinds)] or ["what it takes"]
    wanted = f"{', '.join(others)} or {last}" if others else last
    return f"{key}={'null' if value is None else value} is not {wanted}: correct the value"


def _choices(kinds: Sequence[Kind]) -> list[str]:
    """Return the values that a `Literal` lists."""
    return sorted(str(kind[1]) for kind in kinds if isinstance(kind, tuple))


def _fits(value: str | float | None, kinds: Iterator[Kind]) -> bool:
    if value is None:  # refused only where nothing but a number, a yes or a path can be meant
        known = list(kinds)
        return "None" in known or ANY in known if "path" in known else any(kind not in _WANTED for kind in known)
    return any(_is(value, kind) if isinstance(kind, str) else str(value) == str(kind[1]) for kind in kinds)


def _is(value: str | float, kind: str) -> bool:
    if kind in (ANY, "str"):
        return True
    if isinstance(value, bool) or kind == "bool":
        return isinstance(value, bool) and kind == "bool"
    if isinstance(value, int) and kind == "int":
        return True
    return kind == "path" or (kind == "float" and isinstance(value, (int, float)))


def given(node: DictConfig | None) -> dict[str, Any]:
    """Return what the user gave of a node whose values are all missing else (`???`)."""
    return {} if node is None else {str(key): node[key] for key in node if not OmegaConf.is_missing(node, key)}
