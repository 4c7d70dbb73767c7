"""Where the lines go: JSON Lines on stdout or into a file, or a CSV file."""

from __future__ import annotations

import csv
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from src.edge.preprocess import IMAGE_SUFFIXES
from src.edge.stream import VIDEO_SUFFIXES
from src.spec import TaskSpec

Line = dict[str, Any]
log = logging.getLogger(__name__)


@contextmanager
def open_lines(output: str | None, task: TaskSpec, facts: tuple[str, ...]) -> Iterator[Callable[[Line], None]]:
    """Give what writes a line: to stdout, or to a file that takes its name when the block ends, however it ends.

    A file that was there before is left alone when no line was written.

    Args:
        output: The file, CSV where it ends with `.csv` and JSON Lines otherwise; None for stdout.
        task: What the columns of a CSV are for.
        facts: The facts of the frames that they have.

    Raises:
        ValueError: `output` is a folder, or has the name of a picture or a video.
    """
    if output is None:
        yield lambda line: _write_json(sys.stdout, line)
        return
    target = Path(output)
    if target.is_dir():
        raise ValueError(f"output={output} is a folder: name a file in it, such as {target / 'decisions.jsonl'}")
    if target.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES):
        raise ValueError(f"output={output} is named like a picture: it takes lines, such as decisions.jsonl or .csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    if partial.exists() and partial.stat().st_size:  # of a run that was killed: its decisions are kept
        kept = target.with_name(f"{target.name}.unfinished-{partial.stat().st_mtime_ns}")
        partial.replace(kept)
        log.warning("an earlier run did not end: its lines are in %s", kept)
    with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        try:
            yield (_csv(file, task, facts) if target.suffix.lower() == ".csv" else lambda line: _write_json(file, line))
        finally:
            if file.tell():
                partial.replace(target)
            else:
                partial.unlink()


def _write_json(file: TextIO, line: Line) -> None:
    # One call, so that Ctrl-C finds whole lines.
    file.write(json.dumps(line) + "\n")
    file.flush()


def _csv(file: TextIO, task: TaskSpec, facts: tuple[str, ...]) -> Callable[[Line], None]:
    said = ("value",) if task.kind == "regression" else ("label", "score", *(f"p_{name}" for name in task.classes))
    writer = csv.DictWriter(file, ("path", *facts, *said, "ms", "error"), lineterminator="\n")

    def write(line: Line) -> None:
        if not file.tell():
            writer.writeheader()
        probabilities = line.get("probabilities", {})
        row = {key: value for key, value in line.items() if key != "probabilities"}
        writer.writerow(row | {f"p_{name}": share for name, share in probabilities.items()})
        file.flush()

    return write
