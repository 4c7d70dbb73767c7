"""Where the lines go: JSON Lines on stdout or into a file, or a CSV file."""

from __future__ import annotations

import csv
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TextIO

from src.edge.formats import IMAGE_SUFFIXES
from src.edge.stream import VIDEO_SUFFIXES
from src.spec import TaskSpec

Line = dict[str, Any]
log = logging.getLogger(__name__)


@contextmanager
def open_lines(
    output: str | None, task: TaskSpec, facts: tuple[str, ...], live: bool = False
) -> Iterator[Callable[[Line], None]]:
    """Give what writes a line: to stdout, or to a file that takes its name when the block ends, however it ends.

    A file that was there before is left alone when no line was written. The file of a live source, which may never
    end, can be read while it grows, and goes on after the lines of before.

    Args:
        output: The file, CSV where it ends with `.csv` and JSON Lines otherwise; None for stdout.
        task: What the columns of a CSV are for.
        facts: The facts of the frames that they have.
        live: Whether the lines come from a live source.

    Raises:
        ValueError: `output` is a folder, has the name of a picture or a video, its columns are other ones,
            or another run is writing it.
    """
    if output is None:
        yield lambda line: _write_json(sys.stdout, line)
        return
    target = Path(output)
    if target.is_dir():
        raise ValueError(f"output={output} is a folder: name a file in it, such as {target / 'decisions.jsonl'}")
    if target.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES):
        raise ValueError(f"output={output} is named like a picture: it takes lines, such as decisions.jsonl or .csv")
    columns = _columns(task, facts) if target.suffix.lower() == ".csv" else None
    with _opened(target, live, columns or ()) as file:
        yield (lambda line: _write_json(file, line)) if columns is None else _csv(file, columns)


def _opened(target: Path, live: bool, columns: tuple[str, ...]) -> AbstractContextManager[TextIO]:
    if target.exists() and not target.is_file():  # a device or a pipe
        return _text(target, "w")
    target = target.resolve()  # a link stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    return _growing(target, columns) if live else _whole(target)


def _text(path: Path, mode: Literal["w", "a+"]) -> TextIO:
    return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")


@contextmanager
def _growing(target: Path, columns: tuple[str, ...]) -> Iterator[TextIO]:
    """Open a file at its end, after a whole line.

    Raises:
        ValueError: It has other columns.
    """
    with _text(target, "a+") as file:
        file.seek(0)
        found = next(csv.reader(file), None) if columns else None
        if found is not None and tuple(found) != columns:
            raise ValueError(f"{target} has the columns {', '.join(found)}, not those of this run: name another output")
        end = file.seek(0, os.SEEK_END)
        with target.open("rb") as content:
            content.seek(max(0, end - 1))
            if content.read() not in (b"", b"\n"):  # it was cut off, by a power failure perhaps
                file.write("\n")
        try:
            yield file
        finally:
            if not target.stat().st_size:
                target.unlink()


@contextmanager
def _whole(target: Path) -> Iterator[TextIO]:
    """Open a file that takes its name at the end.

    Raises:
        ValueError: Another run is writing it.
    """
    partial = target.with_name(f".{target.name}.partial")
    _keep_unfinished(partial, target)
    with _text(partial, "w") as file:
        _hold(file, target)
        try:
            yield file
        finally:
            if partial.stat().st_size:
                partial.replace(target)
            else:
                partial.unlink()


def _keep_unfinished(partial: Path, target: Path) -> None:
    """Give the lines of a run that was killed a name of their own.

    Raises:
        ValueError: That run goes on.
    """
    if not partial.exists():
        return
    with partial.open("a") as file:
        _hold(file, target)
    if partial.stat().st_size:
        kept = target.with_name(f"{target.name}.unfinished-{partial.stat().st_mtime_ns}")
        partial.replace(kept)
        log.warning("an earlier run did not end: its lines are in %s", kept)


def _hold(file: TextIO, target: Path) -> None:
    """Keep other runs off a file for as long as it is open, where there are locks (not on Windows and some shares).

    Raises:
        ValueError: Another run has it.
    """
    with suppress(ModuleNotFoundError, OSError):
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another run is writing {target}: name another output") from error


def _write_json(file: TextIO, line: Line) -> None:
    # One call, so that Ctrl-C finds whole lines.
    file.write(json.dumps(line) + "\n")
    file.flush()


def _columns(task: TaskSpec, facts: tuple[str, ...]) -> tuple[str, ...]:
    said = ("value",) if task.kind == "regression" else ("label", "score", *(f"p_{name}" for name in task.classes))
    return ("path", *facts, *said, "ms", "error")


def _csv(file: TextIO, columns: tuple[str, ...]) -> Callable[[Line], None]:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    begun = file.seekable() and file.tell() > 0

    def write(line: Line) -> None:
        nonlocal begun
        if not begun:
            writer.writeheader()
            begun = True
        probabilities = line.get("probabilities", {})
        row = {key: value for key, value in line.items() if key != "probabilities"}
        writer.writerow(row | {f"p_{name}": share for name, share in probabilities.items()})
        file.flush()

    return write
