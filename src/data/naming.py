"""Common names of splits and defects, and the Unicode normal form of names."""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

DEFECT_NAMES = frozenset({"anomaly", "bad", "defect", "defective", "faulty", "ng", "nok"})
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    "calibration": "calibration",
}
# No text is made of these in two ways, else a name of many digits would be tried in all of them.
_FILLER = r"(?:sets?|data|images?|imgs?|pics?|pictures?|photos?|samples?|splits?|subset|part|\d)"
_SPLIT = re.compile(rf"(?:{_FILLER}[\W_]*)*({'|'.join(SPLIT_NAMES)})(?:[\W_]*{_FILLER})*")


def nfc(text: str) -> str:
    """Return a name in Unicode normal form C: file systems and editors differ in the form of equal letters."""
    return unicodedata.normalize("NFC", text)


def spelled_on_disk(root: Path, inside: Path, known: dict[Path, dict[str, str]]) -> Path:
    """Return a path as the file system spells it, where it is there in another Unicode form.

    Args:
        root: A folder that is there.
        inside: The path inside it.
        known: Names of the folders that were looked into, which later calls share.
    """
    here = root
    for part in inside.parts:
        if not (here / part).exists() and here.is_dir():
            if here not in known:
                known[here] = {nfc(name): name for name in os.listdir(here)}
            part = known[here].get(nfc(part), part)
        here /= part
    return here


def split_of(folder: str) -> str | None:
    """Return the split that a folder's name stands for, such as `Training`, `val_images` or `test2017`, or None."""
    found = _SPLIT.fullmatch(folder.lower())
    return None if found is None else SPLIT_NAMES[found[1]]


def listed(names: Sequence[str], joint: str = ", ", most: int = 8) -> str:
    """Return names in a line that stays readable: the first ones, and how many more there are."""
    more = f"{joint}and {len(names) - most:,} more" if len(names) > most else ""
    return joint.join(names[:most]) + more


def arrange(classes: tuple[str, ...], wanted: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Return the classes in the order that the user asks for; `where` is who has them, for the error.

    Raises:
        ValueError: `wanted` does not name each class once.
    """
    wanted = tuple(map(nfc, wanted))
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
    wanted = None if wanted is None else nfc(str(wanted))  # the command line reads 1 as a number
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
