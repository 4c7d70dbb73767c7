"""Output of the data gate: the HTML page with pictures of each finding, and the terminal summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..atomic import write_json, write_text
from ..data.dataset_index import DatasetIndex
from ..data.quality.collection import OPEN
from ..data.quality.findings import Finding
from ..data.quality.gate import Audit
from .environment import environment
from .pictures import thumbnail

TEMPLATE = "audit.html.j2"
NAME = "audit"
SHOWN = 12
PAIRS = 9
KINDS_SHOWN = 6


@dataclass(frozen=True)
class Picture:
    """One picture of a finding; its path is that inside the root of the source."""

    path: str
    label: str
    split: str
    remark: str
    thumbnail: str | None


@dataclass(frozen=True)
class Shown:
    """One finding as the page shows it; `more` counts what it does not show."""

    title: str
    text: str
    stops: bool
    allowed: bool
    paired: bool
    shown: tuple[tuple[Picture, ...], ...]
    more: int


def write_audit(
    folder: Path,
    audit: Audit,
    index: DatasetIndex,
    bit_depth: int,
    date: str,
    command: str,
    name: str = NAME,
    marks: Mapping[str, Any] | None = None,
) -> None:
    """Write `audit.json` and `audit.html` into a folder, each whole or not at all.

    Args:
        folder: Where to; it must exist.
        audit: What the gate found.
        index: The source: its name, licence and notes.
        bit_depth: What white is in deep grey pictures, as in `ImageSpec`.
        date: When it was made.
        command: The command line, ready to paste.
        name: Of the two files, without their ends.
        marks: What the JSON holds besides.
    """
    content = audit.to_dict()
    write_json(folder / f"{name}.json", content | dict(marks or {}))
    page = (
        environment()
        .get_template(TEMPLATE)
        .render(
            name=index.name,
            licence=index.licence,
            notes=index.notes,
            fingerprint=index.fingerprint,
            date=date,
            command=command,
            audit=content,
            verdict=verdict(audit),
            root=index.root,
            findings=[_shown(finding, audit, index.root, bit_depth) for finding in audit.findings],
            splits=list(next(iter(content["counts"].values()))),
            labels=audit.collection.labels.describe(),
            quantiles=_quantiles(content),
            sizes=_kinds(content["sizes"]),
            modes=_kinds(content["modes"]),
        )
    )
    # A path may hold bytes that are no UTF-8: the page shows a replacement.
    write_text(folder / f"{name}.html", page, errors="replace")


def verdict(audit: Audit) -> str:
    """Return in one line whether a training may begin."""
    if audit.stopping:
        return f"A training would stop: {', '.join(map(_words, audit.stopping))}."
    if not audit.findings:
        return "Nothing was found: a training may begin."
    warnings = sum(not finding.stops for finding in audit.findings)
    allowed = len(audit.findings) - warnings
    told = f", {allowed} allowed" if allowed else ""
    return f"A training may begin: nothing stops it, {warnings} {'warning' if warnings == 1 else 'warnings'}{told}."


def print_audit(console: Console, audit: Audit, folder: Path) -> None:
    """Print one line for each finding, the verdict, and where the page is."""
    if audit.findings:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("", "finding", "what"):
            table.add_column(heading, overflow="fold", no_wrap=heading == "finding")
        for finding in audit.findings:
            mark = Text("stops", style="bold red") if finding in audit.stopping else Text("warns", style="yellow")
            mark = Text("allowed", style="dim") if finding.stops and finding not in audit.stopping else mark
            table.add_row(mark, Text(finding.kind), Text(finding.text))
        console.print(table)
    console.print(Text(f"labels: {audit.collection.labels.describe()}"), soft_wrap=True)
    console.print(Text(verdict(audit)), soft_wrap=True)
    console.print(Text(f"written to {folder / 'audit.html'}"), soft_wrap=True)


def _words(finding: Finding) -> str:
    return finding.kind.replace("_", " ")


def _shown(finding: Finding, audit: Audit, root: Path, bit_depth: int) -> Shown:
    paired = any(len(together) > 1 for together in finding.images)
    most = PAIRS if paired else SHOWN
    return Shown(
        _words(finding).capitalize(),
        finding.text,
        finding in audit.stopping,
        finding.stops and finding not in audit.stopping,
        paired,
        tuple(_pictures(together, audit, root, bit_depth) for together in finding.images[:most]),
        max(0, len(finding.images) - most),
    )


def _pictures(positions: Sequence[int], audit: Audit, root: Path, bit_depth: int) -> tuple[Picture, ...]:
    data = audit.collection
    remarks = {suspect.position: f"looks like {suspect.suggested}" for suspect in data.labels.suspects}
    remarks |= dict(data.errors)
    found = []
    for position in positions:
        sample = data.samples[position]
        picture = thumbnail(sample.path, bit_depth)
        inside = sample.path.relative_to(root).as_posix()
        found.append(Picture(inside, sample.label, sample.split or OPEN, remarks.get(position, ""), picture))
    return tuple(found)


def _quantiles(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return brightness and sharpness from the darkest picture to the brightest, as people read them."""
    return [
        (f"{name.capitalize()}, least, median, most", " / ".join(f"{content[name][place]:.4g}" for place in (0, 2, 4)))
        for name in ("brightness", "sharpness")
        if content[name]
    ]


def _kinds(counts: dict[str, int]) -> str:
    """Say how many there are of each kind, the most common first; no line ends inside one."""
    told = ", ".join(
        f"{name} ({count:,})".replace(" ", "\N{NO-BREAK SPACE}") for name, count in [*counts.items()][:KINDS_SHOWN]
    )
    return told + (f" and {len(counts) - KINDS_SHOWN} more" if len(counts) > KINDS_SHOWN else "")
