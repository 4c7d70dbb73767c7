"""The Jinja environment of the HTML pages."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..package import shell_line
from . import formats


def environment(*folders: Path) -> Environment:
    """Return the templates of this folder and of others, with what writes figures; a missing name is an error."""
    made = Environment(
        loader=FileSystemLoader([Path(__file__).parent, *folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["shell_line"] = shell_line
    made.filters |= {"count": formats.count, "size": formats.size, "duration": formats.duration}
    made.filters["score"] = lambda value: formats.metric("", value)
    made.filters["rate"] = lambda value: formats.metric("accuracy", value)
    made.filters["number"] = lambda text: f"{float(text):.4g}"
    return made
