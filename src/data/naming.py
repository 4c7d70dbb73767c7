"""Names that sources agree on: of splits, of defects, and the known name that a wrong one is like."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable

log = logging.getLogger(__name__)

DEFECT_NAMES = frozenset({"anomaly", "bad", "defect", "defective", "faulty", "ng", "nok"})
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def near(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the known name that is like `name`, else nothing."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def arranged(classes: tuple[str, ...], wanted: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Return the classes in the order that the user asks for; `where` is who has them, for the error.

    Raises:
        ValueError: `wanted` does not name each class once.
    """
    if sorted(wanted) != sorted(classes):
        raise ValueError(f"data.classes are {', '.join(wanted)}, and {where} {', '.join(classes)}: name each once")
    return wanted


def positive_class(classes: tuple[str, ...], wanted: str | None) -> str | None:
    """Return the class that counts as the defect, and say which; None with more than two classes.

    Args:
        classes: Class names in the order of the target index.
        wanted: The one that the user asks for. By default the one with a name of `DEFECT_NAMES`, else the last.

    Raises:
        ValueError: `wanted` is none of two classes.
    """
    wanted = None if wanted is None else str(wanted)  # the command line reads 1 as a number
    if wanted is not None and (len(classes) > 2 or wanted not in classes):
        raise ValueError(
            f"positive={wanted!r} must name one of two classes, and the classes are {', '.join(classes)}: "
            "correct data.positive or leave it out"
        )
    if wanted is not None or len(classes) > 2:
        return wanted
    known = [name for name in classes if name.lower() in DEFECT_NAMES]
    chosen = known[0] if len(known) == 1 else classes[-1]
    log.info("class %s counts as the defect (set data.positive=NAME to change that)", chosen)
    return chosen
