"""Benchmark: `python -m src.benchmark suite=step` measures, and leaves benchmark.json and benchmark.md."""

from __future__ import annotations

import functools
import json
import logging
import signal
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from .atomic import write_text
from .command import requires, run

if __name__ == "__main__":
    run("benchmark")

if find_spec(".benchmarks", __package__) is None:
    raise ValueError(
        "the benchmarks are no part of the installed package: clone Graft's repository, and run them there by "
        "python -m src.benchmark"
    )
with requires("train"):
    from rich.console import Console
    from rich.text import Text

    from .benchmarks import (
        SUITES,
        Options,
        Provenance,
        Row,
        Suite,
        Summary,
        choose,
        machine,
        markdown,
        provenance,
        terminal,
    )
    from .benchmarks.table import errors
    from .folders import output_folder

RESULT = "benchmark.json"
LISTS = ("models", "methods", "precisions", "images", "datasets", "seeds")
SINGLE = ("steps", "batch", "image_size", "datasets_root", "epochs", "limit", "weights")
PASSING = ("load", "system")  # what may change of a machine on which a benchmark goes on


def main(config: DictConfig) -> None:
    """Run one suite and write what it measured, after every row anew: a benchmark that is killed keeps what it had."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it has started must end with it
    (name,) = choose("suite", [config.suite], SUITES)
    logging.getLogger(f"{__package__}.backbones").setLevel(logging.WARNING)  # it tells of every model that is built
    suite, about = SUITES[name], machine()
    source = provenance(suite)
    folder = functools.cache(lambda: output_folder("output", Path(config.output)))  # made when there is a row for it
    asked = options(config, suite, about, source)
    rows: list[Row] = []
    for found in suite.run(asked):
        row = source.mark(found)
        rows.append(row)
        if row not in asked.done:
            known = [*rows, *still_to_come(suite, asked.done, rows)]
            write(folder(), name, about, known, suite.summarise(asked, known, about))
    summary = suite.summarise(asked, rows, about)
    write(folder(), name, about, rows, summary)
    console = Console(width=100)
    console.print(terminal(suite, rows))
    for line in (*errors(suite, rows), *summary.lines, f"written to {folder()}"):
        console.print(Text(line), soft_wrap=True)


def options(config: DictConfig, suite: Suite, about: Mapping[str, Any], source: Provenance) -> Options:
    """Return what the config asks for.

    Raises:
        ValueError: It asks for what the suite does not follow, or for numbers with which nothing can be measured.
    """
    given: dict[str, Any] = {key: tuple(config[key]) for key in LISTS} | {key: config[key] for key in SINGLE}
    asked = Options(**given, done=earlier(Path(config.output), about, source) if "done" in suite.options else ())
    plain = Options()
    for option in vars(plain):
        if getattr(asked, option) != getattr(plain, option) and option not in suite.options:
            raise ValueError(f"suite={config.suite} does not follow {option}: it takes {', '.join(suite.options)}")
    return asked


def earlier(folder: Path, about: Mapping[str, Any], source: Provenance) -> tuple[Row, ...]:
    """Return the rows that a benchmark left in `folder`.

    Raises:
        ValueError: What is there is no result of a benchmark, or one of another machine, other versions or other code:
            seconds of two machines have no ratio, nor have figures of two codes. The commit may be another.
    """
    path = folder / RESULT
    if not path.exists():
        return ()
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        rows, machine = tuple(result["rows"]), dict(result["machine"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no rows of a benchmark ({error}): choose another output") from error
    for key, value in about.items():
        if key not in PASSING and machine.get(key) != value:
            raise ValueError(
                f"{path} was measured with {key} {machine.get(key)}, here it is {value}: choose another output"
            )
    if any(row.get("code_sha256") != source.code_sha256 for row in rows):
        raise ValueError(f"{path} was measured by other code, which is never in one table: choose another output")
    return rows


def still_to_come(suite: Suite, done: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Return the earlier rows that have not come again: until they do, the file keeps them."""
    seen = {tuple(row[label] for label in suite.labels) for row in rows}
    return [row for row in done if tuple(row.get(label) for label in suite.labels) not in seen]


def write(folder: Path, name: str, about: Mapping[str, Any], rows: Sequence[Row], summary: Summary) -> None:
    """Write the files of a suite, each whole or not at all."""
    suite = SUITES[name]
    result = {"machine": about, "notes": list(suite.notes), **summary.facts, "rows": rows}
    write_text(folder / RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")
    write_text(folder / "benchmark.md", markdown(name, suite, about, rows, summary.lines))
    if summary.page:
        write_text(folder / f"{name}.html", summary.page, errors="replace")
