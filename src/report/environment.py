"""How the pages are made from their templates."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from src.report import units


def environment() -> Environment:
    """Return the templates of this folder, with what writes figures; a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"count": units.count, "size": units.size, "duration": units.duration}
    made.filters["score"] = lambda value: units.figure("", value)
    made.filters["number"] = lambda text: f"{float(text):.4g}"
    return made
