"""What to say of an override that names a key or a choice which the configs lack: advice that was tried to compose."""

from __future__ import annotations

import copy
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import hydra
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .near import near_names
from .overrides import LISTS, as_typed, first_value, options
from .package import CONF
from .typed import find_unknown, require_types, takes


def mistyped(error: BaseException, config: str, sweeps: bool = False) -> ValueError | None:
    """Return what helps more than `error`, or None where it is about something else.

    Args:
        error: What Hydra raised while it composed.
        config: Name of the command's config.
        sweeps: Whether the command goes over several values.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        choices = [name for name in error.options if not name.startswith("_")]
        return ValueError(f"there is no {group}={choice}{_near(choice, choices)} (choose from {', '.join(choices)})")
    if not isinstance(error, HydraException):
        return None
    with _composing():
        if isinstance(error, OverrideParseException):
            return ValueError(_unread(config, error.override))
        if several := re.search(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", str(error)):
            return ValueError(_several(config, several[1], sweeps))
        if there := re.search(r"An item is already at '([\w./]+)'|Multiple values for ([\w/]+)\.", str(error)):
            key = there[1] or there[2]
            return ValueError(f"{key} is there already{_without_plus(config, key)}")
        found = re.search(r"Could not override '([\w./]+)'", str(error))
        if found is None:
            return None
        word = next((word for word in sys.argv[1:] if word.startswith(f"{found[1]}=")), f"{found[1]}=")
        return ValueError(_told(config, found[1], first_value(word), str(error)))


def require_known(config: str, words: Iterable[str]) -> None:
    """Refuse what a plus would add beside all that the command reads: nobody would see it.

    Args:
        config: Name of the command's config.
        words: Its command line.

    Raises:
        ValueError: There is such a key; a near one is named.
    """
    added = [word for word in words if word.startswith("+") and "=" in word]
    if not added:
        return
    with _composing(), suppress(HydraException, OmegaConfBaseException):  # Hydra will tell of these itself
        for word in map(first_value, added):
            if composed := _composed(config, [word]):
                require_read(config, composed)


def require_read(config: str, composed: DictConfig) -> None:
    """Refuse what was added beside all that the command reads, at the top and in what is no choice of a group.

    Raises:
        ValueError: There is such a key; a near one is named.
    """
    own, found = OmegaConf.to_container(OmegaConf.load(CONF / f"{config}.yaml")), OmegaConf.to_container(composed)
    assert isinstance(own, dict) and isinstance(found, dict)
    chosen = [str(group) for each in own.pop("defaults") if isinstance(each, dict) for group in each]
    groups = [group for group in chosen if not group.startswith("override ")]
    nodes = [str(key) for key, value in own.items() if isinstance(value, dict) and isinstance(found.get(key), dict)]
    for place in ("", *nodes):
        there = list(map(str, own[place])) if place else [*map(str, own), *groups]
        for key in map(str, found[place] if place else found):
            if key not in (*there, "_target_"):
                full = f"{place}.{key}".lstrip(".")
                raise ValueError(f"there is no {full} in conf/{config}.yaml and its groups{_near(key, there)}")


def require_written(config: str, words: Iterable[str]) -> None:
    """Refuse the keys that no YAML has, before Hydra composes in vain.

    Raises:
        ValueError: There is one; the message says what to write instead.
    """
    written = "\n".join(path.read_text(encoding="utf-8") for path in CONF.rglob("*.yaml"))
    for word in words:
        key, equal, _ = word.partition("=")
        last = key.rpartition(".")[2]
        if not equal or not re.fullmatch(r"\w[\w.]*", key) or (CONF / key).is_dir():
            continue
        if not re.search(rf"\b{last}:", written):
            with _composing():
                raise ValueError(_told(config, key, first_value(word), ""))


def _told(config: str, key: str, word: str, error: str) -> str:
    """Say what is wrong with the key of an override, and what of the usual ways out composes."""
    if "No match in the defaults list" in error:
        way = f"write +{word}" if _tried(config, [f"+{word}"]) else "this command takes none"
        return f"conf/{config}.yaml has no {key}: {way}"
    parent, _, last = key.rpartition(".")
    composed = _composed(config, [], without=key) or compose(config)  # one of the choices is wrong too
    node = OmegaConf.select(composed, parent) if parent else composed
    known, place = list(map(str, node or ())), f"there is no {key} in conf/{config}.yaml and its groups"
    unknown = _taken_instead(composed, key) if OmegaConf.is_dict(node) else []
    plus = OmegaConf.is_dict(node) and (last in known or "_target_" in known) and not unknown
    plus = plus and _tried(config, [f"+{word}"])
    if plus and last in known:  # a mapping, and what is not in it yet
        return f"{key} takes new entries with a plus: write +{key}="
    if parent == "data" and "_target_" not in known:  # conf/data/_own.yaml
        keys = ", ".join(f"data.{name}" for name in known)
        return f"{key} stays as it was in the training: of its own data may be said anew {keys}"
    group = parent.partition(".")[0]
    if others := _choices_with(config, group, last, word):
        more = f" (or {', '.join(others[1:])})" if others[1:] else ""
        return f"there is no {key} with {group}={_chosen(config, key)[group]}: write {others[0]}{more}"
    if plus:
        return f"{place}: write +{key}= to add it"
    for near in near_names(last, known):
        return f"{place}: did you mean {parent}.{near}?" if parent else f"{place}: did you mean {near}?"
    return takes(key, unknown) if unknown else place


def _taken_instead(composed: DictConfig, key: str) -> list[str]:
    """Return what the target of a node takes, where it does not take `key`."""
    added = copy.deepcopy(composed)
    OmegaConf.update(added, key, None, force_add=True)
    return next((names for name, names in find_unknown(added) if name == key), [])


def _unread(config: str, word: str) -> str:
    """Say what to do about an override that Hydra's grammar refuses."""
    key, equal, value = word.partition("=")
    if not equal:
        return f"{word} is no KEY=VALUE: write each setting as one word with an =, as in {_example(config)}"
    try:
        way = _quoted(config, key, value)
    except (HydraException, OmegaConfBaseException) as error:
        if "Could not override" in str(error):
            return _told(config, key, f"{key}='{value}'", str(error))
        way = ""
    return f"{word} is not in Hydra's grammar: {way or 'correct the value'}"


def _quoted(config: str, key: str, value: str) -> str:
    """Return the advice to quote a value, or nothing where the key takes no text; Hydra may refuse to compose it."""
    quoted = f"{key}='{value}'"
    try:
        require_types(compose(config, [*_choices({_key(key)}), quoted]))
    except ValueError:
        return ""
    return f"quote the value, {shlex.quote(quoted)}"


def _several(config: str, word: str, sweeps: bool) -> str:
    """Say what to do about an override that gives several values outside a multirun."""
    key, _, value = word.partition("=")
    ways = ["add -m to go over them"] if sweeps else []
    if key.lstrip("+") in LISTS:
        listed = as_typed(f"{key}=[{value}]")
        word = listed.replace("=[", "=", 1)[:-1]
        ways.append(f"write a list, {shlex.quote(listed)}")
        value = ""
    with suppress(HydraException, OmegaConfBaseException):
        ways += filter(None, [value and _quoted(config, key, value)])
    return f"{word} gives several values: {' or '.join(ways) or 'give one'}"


def _example(config: str) -> str:
    """Return the first setting that a command cannot do without, or one of the data."""
    composed = compose(config)
    missing = (f"{key}=..." for key in map(str, composed) if OmegaConf.is_missing(composed, key))
    return next(missing, "data.root=DIR")


def _text(group: str, name: str) -> str:
    """Return what the file of a choice holds, and those of its group that it begins with."""
    path = CONF / group / f"{name}.yaml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""  # a folder of the user's may hold it
    above = [each for each in re.findall(r"^(?:  - |defaults: \[)(\w+)", text, re.M) if each not in ("_self_", name)]
    return "\n".join([text, *(_text(group, each) for each in above)])


def _without_plus(config: str, key: str) -> str:
    word = next((word.lstrip("+") for word in sys.argv[1:] if word.startswith((f"+{key}=", f"++{key}="))), "")
    return f": write {word}" if word and _tried(config, [word]) else ""


def _choices_with(config: str, group: str, last: str, word: str) -> list[str]:
    """Return the choices of a config group with which an override composes, the command's own first.

    To compose takes a tenth of a second, so that only choices are tried whose files write the last part of the key.
    """
    names = [name for name in options(group) if re.search(rf"^\s*{last}:", _text(group, name), re.M)] if group else []
    usual = _chosen(config, None).get(group)
    ways = [f"{group}={name}" for name in sorted(names, key=lambda name: (name != usual, name))]
    return [way for way in ways if _tried(config, [way, word])]


def _chosen(config: str, key: str | None) -> dict[str, str]:
    """Return the choice of every group: the command's own, or that of the command line without one key."""
    words = [] if key is None else _choices({key})
    return dict(compose(config, words, return_hydra_config=True).hydra.runtime.choices)


def _tried(config: str, words: Sequence[str], without: str = "") -> bool:
    composed = _composed(config, words, without)
    return composed is not None and not any(find_unknown(composed))


def _composed(config: str, words: Sequence[str], without: str = "") -> DictConfig | None:
    """Return the config with some words in place of theirs, after the other choices that were typed, or None."""
    try:
        return compose(config, [*_choices({_key(word) for word in words} | {without}), *words])
    except (HydraException, OmegaConfBaseException):
        return None


def _choices(without: set[str]) -> list[str]:
    typed = [word for word in sys.argv[1:] if re.fullmatch(r"\+?\w+=\w+|\+*[\w.]+\._target_=[\w.]+", word)]
    return [word for word in typed if _key(word) not in without]


def _key(word: str) -> str:
    return word.lstrip("+").partition("=")[0]


@contextmanager
def _composing() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def _near(name: str, known: Iterable[str]) -> str:
    close = near_names(name, known)
    return f": did you mean {close[0]}?" if close else ""
