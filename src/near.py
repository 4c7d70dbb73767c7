"""Known names that are like one that was mistyped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near_names(name: str, known: Iterable[str], most: int = 1, likeness: float = 0.6) -> list[str]:
    """Return the known names that are like `name`, the likeliest first.

    Args:
        name: The name that is not known.
        known: Those that are.
        most: How many are wanted at most.
        likeness: The least ratio of `difflib.SequenceMatcher`; the longer and freer the names, the lower.
    """
    return difflib.get_close_matches(name, list(known), n=most, cutoff=likeness)


def near(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the known name that is like `name`, else nothing."""
    found = near_names(name, known)
    return f" (did you mean {found[0]}?)" if found else ""
