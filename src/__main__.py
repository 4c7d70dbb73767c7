"""The command `graft`, also `python -m graft`, and `python -m src` in a clone: a verb, then the settings."""

from __future__ import annotations

import os
import runpy
import sys

from .command import DONE, WRONG_INPUT
from .near import near_names
from .package import CONF, HERE, NAME
from .usage import overview

VERBS = sorted(path.stem for path in CONF.glob("*.yaml"))


def main() -> None:
    """Run the command that the first word names, or list them all."""
    word, rest = (sys.argv[1], sys.argv[2:]) if sys.argv[1:] else ("--help", [])
    if word in ("--help", "-h", "help"):
        print(overview(VERBS))
        sys.exit(DONE)
    if word not in VERBS:
        close = near_names(word, VERBS)
        near = f"did you mean {close[0]}?" if close else f"choose from {', '.join(VERBS)}"
        print(f"error: there is no command {word}: {near}", file=sys.stderr)
        sys.exit(WRONG_INPUT)
    sys.argv[:] = [str(HERE / f"{word}.py"), *rest]
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a `_target_` may lie there, as with `python -m`
    runpy.run_module(f"{NAME}.{word}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
