"""The package itself: the name it was imported by, where its configs lie, and what a user types to run or extend it.

In a clone it is imported as `src`, and `conf` lies beside it; installed it is `graft`, with `conf` inside.
"""

from __future__ import annotations

import shlex
from pathlib import Path

COMMON = "graft"  # the name in everything that is written, whatever the package was imported by
NAMES = (COMMON, "src")
NAME = (__package__ or COMMON).partition(".")[0]
HERE = Path(__file__).resolve().parent
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parent / "conf"


def command_words(verb: str) -> list[str]:
    """Return the words that run a command the way this process was run."""
    return [COMMON, verb] if NAME == COMMON else ["python", "-m", f"{NAME}.{verb}"]


def shell_line(verb: str, *words: str) -> str:
    """Return a command with its settings, ready to paste into a shell."""
    return shlex.join([*command_words(verb), *words])


def install_line(extra: str) -> str:
    """Return the line that installs an extra."""
    return f'pip install "graft-vision[{extra}]"' if NAME == COMMON else f'pip install -e ".[{extra}]"'
