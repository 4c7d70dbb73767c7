"""What `--help` prints: what a command is for, its main keys, two examples, and where the rest is said.

Nothing is written twice. The head of the command's YAML says what it is for and which keys matter; defaults come from
the composed config; what a key means, from the comment beside it or the docstring of its target.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import hydra
from hydra import compose
from omegaconf import DictConfig, OmegaConf

from .overrides import options
from .package import CONF, command_words
from .signatures import read_signature

WIDTH = 100
_COLUMN = 34  # where it is said what a key means


@dataclass(frozen=True)
class Head:
    """The comment at the head of a command's YAML.

    Attributes:
        purpose: What the command is for, a sentence.
        examples: Settings that show its use.
        keys: The keys of groups that matter most.
        more: Where the rest is said.
    """

    purpose: str
    examples: tuple[str, ...]
    keys: tuple[str, ...]
    more: str


def read_head(verb: str) -> Head:
    """Read the head of `conf/<verb>.yaml`."""
    parts: dict[str, list[str]] = {}
    part = "Purpose"
    for line in (CONF / f"{verb}.yaml").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").strip()
        if titled := re.match(r"(Examples|Keys|More):(.*)", text):
            part, text = titled[1], titled[2].strip()
        parts.setdefault(part, []).append(text)
    purpose, examples, keys, more = (
        list(filter(None, parts.get(name, []))) for name in ("Purpose", "Examples", "Keys", "More")
    )
    return Head(" ".join(purpose), tuple(examples), tuple(" ".join(keys).split()), " ".join(more))


def overview(verbs: Sequence[str]) -> str:
    """Return the list of commands, a line each."""
    width = max(map(len, verbs))
    lines = [f"  {verb:<{width}}  {read_head(verb).purpose}" for verb in verbs]
    title = "Graft: LoRA for vision backbones, shipped to the camera as one ONNX file."
    return "\n".join([title, "", *lines, "", f"{' '.join(command_words('COMMAND'))} --help says more of one."])


def page(verb: str, words: Sequence[str]) -> str:
    """Return the page of a command, with the choices that its words make.

    Args:
        verb: The command.
        words: Its command line, without flags.
    """
    head, command = read_head(verb), " ".join(command_words(verb))
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose(verb, list(words), return_hydra_config=True)
        groups = list(_groups(composed))
    keys = list(_keys(verb, head, composed))
    parts = [
        [head.purpose],
        [f"Usage: {command} KEY=VALUE ..."],
        *([["Choices:", *groups]] if groups else []),
        ["Keys, with their defaults (one with ... has none):", *keys],
        ["Examples:", *(f"  {command} {example}" for example in head.examples)],
        textwrap.wrap(f"{head.more} `--cfg job` prints every key, `--hydra-help` the flags of Hydra.", WIDTH),
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _groups(composed: DictConfig) -> Iterator[str]:
    """Yield a line for each group of configs."""
    chosen = {str(group): str(name) for group, name in composed.hydra.runtime.choices.items() if "/" not in str(group)}
    if "task" in chosen:  # of a training
        chosen = {"+experiment": chosen.pop("experiment", "..."), **chosen}
    for group, name in chosen.items():
        others = [each for each in options(group.lstrip("+")) if each != name]
        if others and not name.startswith("_"):
            yield from _line(f"{group}={name}", f"or {', '.join(others)}")


def _keys(verb: str, head: Head, composed: DictConfig) -> Iterator[str]:
    """Yield the lines of the keys: all of the command's own, and those of its groups that its head names."""
    own = comments(f"{verb}.yaml")
    written = OmegaConf.to_container(composed)
    top = [key for key in own if key.partition(".")[0] not in ("defaults", "hydra")]
    for key in (*top, *head.keys):
        value = _select(written, key)
        if isinstance(value, dict):
            continue
        text = own.get(key) or meaning(key, composed)
        yield from _line(f"{key}={shown(value)}", text)


def meaning(key: str, composed: DictConfig) -> str:
    """Return what a key of a group means: the comment in its YAML, else the docstring of what it is given to."""
    group, _, rest = key.partition(".")
    choice = f"{group}/{composed.hydra.runtime.choices.get(group)}.yaml"
    said = comments(choice).get(rest) if (CONF / choice).is_file() else None
    place, _, name = key.rpartition(".")
    signature = read_signature(str(OmegaConf.select(composed, f"{place}._target_")))
    known = signature.parameters.get(name) if signature else None
    return said or (known.text if known else "")


def comments(file: str) -> dict[str, str]:
    """Return the comment on each key of a YAML file: behind it, else above it."""
    found: dict[str, str] = {}
    place: list[str] = []
    above: list[str] = []
    for line in (CONF / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            above.append(line.removeprefix("#").strip())
        elif key := re.match(r"( *)(\w+):(.*)", line):
            place[len(key[1]) // 2 :] = [key[2]]
            behind = re.search(r"\s# (.*)", key[3])
            found[".".join(place)] = behind[1] if behind else " ".join(above)
            above = []
        else:
            above = []
    return found


def _select(content: Any, key: str) -> Any:
    for name in key.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    return content


def shown(value: Any) -> str:
    """Return a value as it is written on the command line; `...` where one must be given."""
    if value == "???":
        return "..."
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _line(setting: str, text: str) -> Iterator[str]:
    """Yield a setting and its first clause on one line, or two where the setting is long."""
    room = WIDTH - _COLUMN
    clause = text if len(text) <= room else re.split(r"[;.] ", text)[0]
    clause = textwrap.shorten(clause, room, placeholder=" ...")
    if len(setting) > _COLUMN - 4:
        yield f"  {setting}"
        setting = ""
    if setting or clause:
        yield f"  {setting:<{_COLUMN - 2}}{clause}".rstrip()
