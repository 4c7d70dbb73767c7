"""The words of a command line that begin with a dash: Hydra's own flags, and what is said of any other."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from .near import near_names

MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")
_VALUED = (
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
    "--experimental-rerun",
)
_HYDRA = (
    *("--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--shell-completion", "-sc"),
    *("--info", "-i", *MULTIRUN[:2], *_VALUED),
)
_LONG = tuple(flag for flag in _HYDRA if flag.startswith("--"))


def asks_help(words: Sequence[str]) -> bool:
    """Return whether a command line asks for the page of the command."""
    return any(word in ("--help", "-h") for word in words)


def is_plain(words: Sequence[str]) -> bool:
    """Return whether a command line holds nothing that steers Hydra itself: no flag, and no setting of it."""
    return not any(word.startswith("-") or word.lstrip("+~").startswith("hydra") for word in words)


def find_settings(words: Sequence[str]) -> list[str]:
    """Return the words of a command line that are KEY=VALUE: no flags, and not what belongs to one."""
    before = ["", *words]
    return [
        word
        for word, flag in zip(words, before, strict=False)
        if "=" in word and not word.startswith("-") and flag not in _VALUED
    ]


def require_flags(words: Sequence[str], verb: str, sweeps: bool) -> None:
    """Refuse flags that Hydra lacks, and a multirun of a command that has none.

    Args:
        words: The command line behind the command.
        verb: The command.
        sweeps: Whether it goes over several values.

    Raises:
        ValueError: There is one; the message says what to write instead.
    """
    for place, word in enumerate(words):
        flag, equal, value = word.partition("=")
        if not flag.startswith("-") or flag in _HYDRA or (place and words[place - 1] in _VALUED):
            continue
        if near := near_names(flag, _LONG, likeness=0.7):
            raise ValueError(f"there is no flag {flag}: did you mean {near[0]}?")
        if not equal:
            value = "".join(words[place + 1 : place + 2])
            value = "" if value.startswith("-") or "=" in value else value
        setting = shlex.quote(f"{flag.strip('-')}={value or 'VALUE'}")
        raise ValueError(f"there is no flag {flag}: a setting has no dashes, write {setting}")
    if not sweeps and (asked := next((word for word in words if word in MULTIRUN), None)):
        raise ValueError(f"{verb} goes over one value of each setting: leave out {asked}, and call it once for each")
