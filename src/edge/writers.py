"""Write output lines: JSON Lines to stdout or a file, or a CSV file."""

from __future__ import annotations

import csv
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import FileIO, StringIO
from pathlib import Path
from typing import Any

from ..atomic import named
from ..kinds import find_kind
from ..spec import TaskSpec
from .formats import IMAGE_SUFFIXES
from .line_file import LineFile, cut_half_line
from .stream import VIDEO_SUFFIXES

Line = dict[str, Any]
log = logging.getLogger(__name__)


@contextmanager
def open_lines(
    output: str | None, task: TaskSpec, facts: tuple[str, ...], live: bool = False, has_verdict: bool = False
) -> Iterator[Callable[[Line], None]]:
    """Yield a function that writes a line to stdout, or to a file that gets its name when the block ends, in any way.

    An earlier file stays if no line was written. The file of a live source, which may never end, is appended to, and
    can be read while it grows.

    Args:
        output: The file, CSV where it ends with `.csv` and JSON Lines otherwise; None for stdout.
        task: The task of the bundle, for the columns of a CSV.
        facts: Keys of the frames' facts, which become columns.
        live: Whether the lines come from a live source.
        has_verdict: Whether the lines hold verdicts, which then are a column.

    Raises:
        ValueError: `output` is a folder, has the name of a picture or a video, its columns are other ones,
            or another run is writing it.
    """
    if output is None:
        yield _to_stdout()
        return
    target = Path(output)
    with named(target):
        is_folder = target.is_dir()
    if is_folder:
        raise ValueError(f"output={output} is a folder: name a file in it, such as {target / 'decisions.jsonl'}")
    if target.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES):
        raise ValueError(f"output={output} is named like a picture: it takes lines, such as decisions.jsonl or .csv")
    columns = _columns(task, facts, has_verdict) if target.suffix.lower() == ".csv" else None
    with _opened(target, live, columns or ()) as file:
        lines, begun = LineFile(file.fileno(), target), file.seekable() and file.tell() > 0
        yield (lambda line: lines.write(_as_json(line))) if columns is None else _csv(lines, columns, begun)


def _to_stdout() -> Callable[[Line], None]:
    """Return what writes a line to stdout.

    Raises:
        ValueError: It was closed before the process began.
    """
    own = sys.__stdout__
    if sys.stdout is None:
        raise ValueError("stdout is closed: name a file for the lines by output=FILE")
    if own is None or sys.stdout is not own:  # that of a notebook
        return lambda line: print(_as_json(line), end="", flush=True)
    own.flush()
    lines = LineFile(own.fileno(), "stdout")
    return lambda line: lines.write(_as_json(line))


def _opened(target: Path, live: bool, columns: tuple[str, ...]) -> AbstractContextManager[FileIO]:
    with named(target):
        if target.exists() and not target.is_file():  # a device or a pipe
            return FileIO(target, "w")
        target = target.resolve()  # a link stays one
        target.parent.mkdir(parents=True, exist_ok=True)
    return _growing(target, columns) if live else _whole(target)


@contextmanager
def _growing(target: Path, columns: tuple[str, ...]) -> Iterator[FileIO]:
    """Open a file for appending, after a whole line.

    Raises:
        ValueError: It has other columns.
    """
    with named(target):
        file = FileIO(target, "a+")
    with file:
        found = _header(target) if columns else None
        if found is not None and found != columns:
            raise ValueError(f"{target} has the columns {', '.join(found)}, not those of this run: name another output")
        lines = LineFile(file.fileno(), target)
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        if file.read() not in (b"", b"\n"):  # a power failure may have cut the last line
            lines.write("\n")
        try:
            yield file
        finally:
            if os.fstat(file.fileno()).st_size:
                lines.sync()
            else:
                target.unlink(missing_ok=True)


def _header(table: Path) -> tuple[str, ...] | None:
    """Return the first row of a CSV, None of an empty one."""
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        try:
            row = next(csv.reader(file), None)
        except csv.Error as error:
            raise ValueError(f"{table} is no table ({error}): name another output") from error
    return None if row is None else tuple(row)


@contextmanager
def _whole(target: Path) -> Iterator[FileIO]:
    """Open a file that gets its name at the end.

    Raises:
        ValueError: Another run is writing it.
    """
    partial = target.with_name(f".{target.name}.partial")
    with named(target):
        _keep_unfinished(partial, target)
        file = FileIO(partial, "w")
    with file:
        _hold(file, target)
        try:
            yield file
        finally:
            with named(target):
                if not os.fstat(file.fileno()).st_size:
                    partial.unlink()
                else:
                    try:
                        LineFile(file.fileno(), target).sync()
                    finally:
                        partial.replace(target)


def _keep_unfinished(partial: Path, target: Path) -> None:
    """Rename the lines of a run that was killed, without half a line.

    Raises:
        ValueError: That run goes on.
    """
    if not partial.exists():
        return
    with FileIO(partial, "a") as file:
        _hold(file, target)
    cut_half_line(partial)
    if partial.stat().st_size:
        kept = target.with_name(f"{target.name}.unfinished-{partial.stat().st_mtime_ns}")
        partial.replace(kept)
        log.warning("an earlier run did not end: its lines are in %s", kept)


def _hold(file: FileIO, target: Path) -> None:
    """Lock a file against other runs while it is open, where locks exist (not on Windows and some shares).

    Raises:
        ValueError: Another run has it.
    """
    with suppress(ModuleNotFoundError, OSError):
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another run is writing {target}: name another output") from error


def _as_json(line: Line) -> str:
    return json.dumps(line) + "\n"


def _columns(task: TaskSpec, facts: tuple[str, ...], has_verdict: bool) -> tuple[str, ...]:
    verdict = ("verdict",) if has_verdict else ()
    return ("path", *facts, *find_kind(task.kind).fields(task.classes), *verdict, "ms", "error")


def _csv(file: LineFile, columns: tuple[str, ...], begun: bool) -> Callable[[Line], None]:
    rows = StringIO()
    writer = csv.DictWriter(rows, columns, lineterminator="\n")

    def write(line: Line) -> None:
        nonlocal begun
        rows.seek(0)
        rows.truncate()
        if not begun:
            writer.writeheader()
        probabilities = line.get("probabilities", {})
        row = {key: value for key, value in line.items() if key != "probabilities"}
        writer.writerow(row | {f"p_{name}": share for name, share in probabilities.items()})
        file.write(rows.getvalue())
        begun = True

    return write
