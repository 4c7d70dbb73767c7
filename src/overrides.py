"""The words of a command line: text that Hydra's grammar would refuse or read as something else, and the way back."""

from __future__ import annotations

import re

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

OWN_DATA = "data=_own"  # stands for the own data of a run, evaluated or resumed
PATHS = frozenset(
    "adapter annotate backbone.weights data.cache_dir data.files_dir data.path data.root data.split_file data.table "
    "datasets_root hydra.sweep.dir input model output resume run_dir sign verify weights".split()
)
NAMES = frozenset("data.group_column data.image_column data.label_column data.name data.positive name".split())
LISTS = frozenset("adapters data.allow data.classes data.columns data.splits datasets lora.targets views".split())
_CLOSED = {"[": "]", "{": "}"}
_STRING = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_QUOTED = re.compile(_STRING, re.DOTALL)
_FUNCTION = re.compile(r"(?:choice|glob|interval|range|shuffle|sort|tag)\(.*\)", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\()\[\]{}:=, \t])")
_END = r"(?=\s*(?:,|\Z))"
_PLAIN = r"(?:\$\{[^}]*\}|\\.|[^,\\]|\\\Z)*?"
_ELEMENT = re.compile(rf"\s*((?:{_STRING}){_END}|{_PLAIN})\s*(,|\Z)", re.DOTALL)
_ENTRY = re.compile(rf"\s*([^:,]*:\s*(?:{_STRING}){_END}|{_PLAIN})\s*(,|\Z)", re.DOTALL)
_VALUE = re.compile(rf"\s*((?:{_STRING}|\[.*?\]|\{{.*?\}}|\w+\(.*?\)){_END}|{_PLAIN})\s*(,|\Z)", re.DOTALL)


def literal(word: str, multirun: bool = False) -> str:
    """Quote the text of an override for Hydra: the values of `PATHS` and `NAMES`, the elements of `LISTS`.

    Hydra's grammar refuses `=` and every letter beyond ASCII, and would read `1_0` as 10 and `true` as a yes. Null and
    what is quoted already stay, so that quoting twice changes nothing.

    Args:
        word: An override as the shell hands it over.
        multirun: Whether commas part the values of a sweep, where they do not belong to a path.
    """
    key, equal, value = word.partition("=")
    place = key.lstrip("+")
    name = place in NAMES or place.rpartition(".")[0] in LISTS
    if not equal or not (name or place in PATHS | LISTS):
        return word
    if place in PATHS or (name and not multirun):
        return f"{key}={_text(value)}"
    if not multirun and _container(value):
        return f"{key}={_list(value)}"
    return f"{key}={','.join(map(_value, _parts(value, _VALUE)))}"


def as_typed(word: str) -> str:
    """Return the override that `literal` makes `word` of: what the user typed, or what means the same."""
    key, _, value = word.partition("=")
    shorter = f"{key}={_plain(value)}"
    return shorter if literal(shorter) == word else word


def first_value(word: str) -> str:
    """Return an override with one value, where a sweep goes over several."""
    (override,) = OverridesParser.create().parse_overrides([word])
    if not override.is_sweep_override():
        return word
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


def options(group: str) -> list[str]:
    """Return the choices of a config group; call it while Hydra runs."""
    names = GlobalHydra.instance().config_loader().get_group_options(group)
    return [name for name in names if not name.startswith("_")]


def _text(value: str) -> str:
    return value if value in ("", "null") or _QUOTED.fullmatch(value) else _quoted(value)


def _quoted(value: str) -> str:
    escaped = re.sub(r"(\\+)(?='|\Z)", r"\1\1", value).replace("'", r"\'")
    return f"'{escaped}'"


def _unquoted(value: str) -> str:
    """Return what `_quoted` made `value` of."""
    return re.sub(r"(\\+)(?='|\Z)", lambda run: run[0][: len(run[0]) // 2], value[1:-1])


def _container(value: str) -> bool:
    return _CLOSED.get(value[:1]) == value[-1:]


def _value(part: str) -> str:
    """Quote one of several values; where commas part them, Hydra's escapes hold."""
    if _container(part):
        return _list(part)
    return part if _FUNCTION.fullmatch(part) else _text(_unescaped(part))


def _list(value: str) -> str:
    """Quote the elements of a list, or the values of a mapping: Hydra's grammar has no quoted keys."""
    quote, kind = (_element, _ELEMENT) if value[0] == "[" else (_entry, _ENTRY)
    return f"{value[0]}{','.join(map(quote, _parts(value[1:-1], kind)))}{value[-1]}"


def _element(part: str) -> str:
    return part if not part or _QUOTED.fullmatch(part) else _quoted(_unescaped(part))


def _entry(part: str) -> str:
    key, colon, value = part.partition(":")
    return key + colon + _text(_unescaped(value.strip()))


def _unescaped(part: str) -> str:
    return part if _QUOTED.fullmatch(part) else _ESCAPED.sub(r"\1", part)


def _parts(value: str, kind: re.Pattern[str]) -> list[str]:
    """Split at the commas that are neither quoted nor escaped."""
    found, at, more = [], 0, True
    while more:
        part = kind.match(value, at)
        assert part is not None
        found.append(part[1])
        at, more = part.end(), bool(part[2])
    return found


def _plain(value: str) -> str:
    """Take the quotes off a value, or off each element of a list."""
    if not _container(value):
        return _bare(value)
    if value[0] == "[":
        return f"[{','.join(map(_bare, _parts(value[1:-1], _ELEMENT)))}]"
    entries = (part.partition(":") for part in _parts(value[1:-1], _ENTRY))
    return "{" + ",".join(f"{key}{colon}{_bare(inner)}" for key, colon, inner in entries) + "}"


def _bare(part: str) -> str:
    return _unquoted(part) if _QUOTED.fullmatch(part) else part
