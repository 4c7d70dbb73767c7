"""Write what every group and key of the configs is into conf/README.md: `python -m tests.conf_page`.

It is read from the YAML, its comments, and the docstrings of what it builds, so that the page says what the code does.
"""

import re
from pathlib import Path

import hydra
from hydra import compose
from omegaconf import OmegaConf

from src.atomic import write_text
from src.package import CONF
from src.targets import register_resolver
from src.usage import comments, meaning, read_head, shown

PAGE = Path(CONF, "README.md")
BEGIN, END = "<!-- keys: python -m tests.conf_page -->", "<!-- end of keys -->"
COMMANDS = ("train", "evaluate", "export", "certify", "predict", "audit", "benchmark")
GROUPS = ("experiment", "data", "backbone", "task", "lora", "optimizer", "scheduler", "trainer", "callbacks", "logger")


def render() -> str:
    """Return the part of the page that is made."""
    register_resolver()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        commands = [part for verb in COMMANDS for part in _command(verb)]
        usual = compose("train", return_hydra_config=True).hydra.runtime.choices
        groups = [part for group in GROUPS for part in _group(group, usual.get(group))]
    return "\n".join([BEGIN, "", "## Keys of each command", "", *commands, "## Groups of a training", "", *groups, END])


def renew(text: str) -> str:
    """Return the page with its keys made anew."""
    before, _, rest = text.partition(BEGIN)
    return before + render() + rest.partition(END)[2]


def _command(verb: str) -> list[str]:
    composed, own = compose(verb, return_hydra_config=True), comments(f"{verb}.yaml")
    keys = [
        key
        for key in own
        if key.partition(".")[0] not in ("defaults", "hydra")
        and not (_value(composed, key) and isinstance(_value(composed, key), dict))
    ]
    rows = [_row(key, shown(_value(composed, key)), own[key]) for key in keys]
    return [f"### `python -m src.{verb}`", "", read_head(verb).purpose, "", *_table("key", "default", rows), ""]


def _group(group: str, usual: str | None) -> list[str]:
    """Return the part of a group, the choice that a training takes by itself first."""
    names = [path.stem for path in (CONF / group).glob("*.yaml") if not path.stem.startswith("_")]
    names.sort(key=lambda name: (name != usual, name))
    plus = "+" if group == "experiment" else ""
    choices = [
        f"| `{plus}{group}={name}`{' (default)' * (name == usual)} | {_cell(_purpose(f'{group}/{name}.yaml'))} |"
        for name in names
    ]
    rows = [] if group == "experiment" else _keys(group, names)
    tables = [["| choice | |", "|---|---|", *choices, ""], [*_table("key", "default", rows), ""] if rows else []]
    return [f"### `{group}`", "", *tables[0], *tables[1]]


def _keys(group: str, names: list[str]) -> list[str]:
    """Return a row for each key that a choice has, the first choice's default beside it, and who else has it."""
    found: dict[str, tuple[str, str, list[str]]] = {}
    for name in names:
        composed = compose("train", [f"{group}={name}"], return_hydra_config=True)
        for key in _leaves(OmegaConf.to_container(composed[group]) or {}, group):
            default, text = shown(_value(composed, key)), meaning(key, composed)
            found.setdefault(key, (default, text, []))[2].append(name)
    return [
        _row(key, default, text + (f" ({', '.join(has)})" if len(has) < len(names) else ""))
        for key, (default, text, has) in found.items()
    ]


def _leaves(content: dict, place: str) -> list[str]:
    keys: list[str] = []
    for name, value in content.items():
        if not str(name).startswith("_"):
            key = f"{place}.{name}"
            keys += _leaves(value, key) if isinstance(value, dict) and value else [key]
    return keys


def _value(composed, key: str) -> object:
    value = OmegaConf.to_container(composed)
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_node(value: object) -> bool:
    return isinstance(value, dict) and bool(value)


def _table(first: str, second: str, rows: list[str]) -> list[str]:
    return [f"| {first} | {second} | |", "|---|---|---|", *rows]


def _row(key: str, default: str, text: str) -> str:
    return f"| `{key}` | `{_cell(default)}` | {_cell(text)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _purpose(file: str) -> str:
    lines = (CONF / file).read_text(encoding="utf-8").splitlines()
    said = [line.removeprefix("#").strip() for line in lines if line.startswith("#") and "@package" not in line]
    return re.split(r"(?<=\.) ", " ".join(said))[0]


if __name__ == "__main__":
    write_text(PAGE, renew(PAGE.read_text(encoding="utf-8")))
