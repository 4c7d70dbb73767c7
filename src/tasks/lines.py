"""Read the trained files of several production lines that share one base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..lora import read_adapter
from .adaptation import Full
from .restore import Trained, read_trained


def read_lines(
    adapters: Sequence[str] | Mapping[str, str], weights: str | None = None, views: object = None
) -> dict[str, Trained]:
    """Return trained files by the name of their line.

    Args:
        adapters: Adapter files or run folders; a list takes each run's own `name`, a mapping names them.
        weights: As `read_trained`.
        views: As `Trained.with_views`, for all of them.

    Raises:
        ValueError: Two have one name, one has none, they differ in what a base is shared by, or as `read_views`.
    """
    if isinstance(adapters, Mapping):
        lines = {str(name): read_trained(str(path), weights) for name, path in adapters.items()}
    else:
        lines = {}
        for path in map(str, adapters):
            trained = read_trained(path, weights)
            name = trained.provenance.get("config", {}).get("name")
            if not name or name in lines:
                why = f"two adapters are of the name {name}" if name else f"{path} does not say its name"
                raise ValueError(f"{why}: name the lines yourself, adapters={{line1: PATH, line2: PATH}}")
            lines[str(name)] = trained
    if len(lines) < 2:
        raise ValueError("a shared base is for two lines or more: give adapters=[RUN,RUN], or export adapter=RUN alone")
    lines = {name: trained.with_views(views) for name, trained in lines.items()}
    _require_one_base(lines)
    return lines


def _require_one_base(lines: Mapping[str, Trained]) -> None:
    full = [name for name, trained in lines.items() if isinstance(trained.adaptation, Full)]
    if full:
        raise ValueError(f"every weight of {full[0]} was trained, so it shares no base: export it by itself")
    for name, trained in lines.items():
        kind = read_adapter(trained.path).settings.kind
        if kind != "lora":
            raise ValueError(f"{name} is a {kind} adapter, which no input of a graph can hold: export it by itself")
    (first, expected), *others = ((name, _common_parts(trained)) for name, trained in lines.items())
    for name, found in others:
        for what, value in found.items():
            if value != expected[what]:
                way = "name those of all by views=[identity], or export" if what == "views" else "export"
                raise ValueError(
                    f"{first} and {name} share no base, their {what} differs ({expected[what]} and {value}): "
                    f"{way} them apart"
                )


def _common_parts(trained: Trained) -> dict[str, Any]:
    """Return what all lines of one base have in common."""
    header, task = read_adapter(trained.path), trained.task
    common = {"backbone": trained.backbone.name, "base": header.base.values[:12], "folded norms": header.folded}
    outputs = {"kind of task": task.kind, "views": sorted(task.views), "center": task.center, "scale": task.scale}
    return common | asdict(trained.image) | outputs
