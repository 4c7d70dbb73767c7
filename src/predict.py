"""Decide about pictures with a bundle: `python -m src.predict model=BUNDLE input=FILE|DIR|GLOB`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from numpy.typing import NDArray
from omegaconf import DictConfig

from src.command import run
from src.edge import ImageError, Runtime, find_images


def main(config: DictConfig) -> None:
    """Write one JSON line per picture, and the counts to stderr.

    Raises:
        ValueError: The bundle or the input cannot be used, or not one picture could be decided.
    """
    batch_size, threads = _count(config, "batch_size"), _count(config, "threads")
    paths = find_images(str(config.input))
    runtime = Runtime(str(config.model), threads=threads)
    decided = broken = 0
    try:
        with _lines_to(config.output) as lines:
            for line in _lines(runtime, paths, batch_size):
                decided, broken = (decided, broken + 1) if "error" in line else (decided + 1, broken)
                print(json.dumps(line), file=lines, flush=True)
    except BrokenPipeError:  # the reader, such as `head`, has enough; stdout must not be flushed again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    counts = f"{decided} decided, {broken} broken"
    if not decided:
        raise ValueError(f"{counts}: no picture could be decided, the error of each line says why")
    print(counts, file=sys.stderr)


def _count(config: DictConfig, key: str) -> int:
    if not isinstance(config[key], int) or config[key] < 1:
        raise ValueError(f"{key} must be a whole number above 0, not {config[key]}")
    return int(config[key])


def _lines(runtime: Runtime, paths: list[Path], batch_size: int) -> Iterator[dict[str, Any]]:
    """Yield the line of every picture, in the order of the paths."""
    for start in range(0, len(paths), batch_size):
        yield from _decide(runtime, paths[start : start + batch_size])


def _decide(runtime: Runtime, paths: list[Path]) -> list[dict[str, Any]]:
    """Return the lines of one batch; `ms` is a picture's equal part of the time from the files to the decisions."""
    begin = time.perf_counter()
    pictures = [_loaded(path, runtime) for path in paths]
    good = [picture for picture in pictures if not isinstance(picture, ImageError)]
    decisions = iter(runtime.decide(good) if good else ())
    ms = round((time.perf_counter() - begin) * 1000 / len(paths), 3)
    return [
        {"path": str(path), "error": str(picture)}
        if isinstance(picture, ImageError)
        else {"path": str(path), **asdict(next(decisions)), "ms": ms}
        for path, picture in zip(paths, pictures, strict=True)
    ]


def _loaded(path: Path, runtime: Runtime) -> NDArray[Any] | ImageError:
    try:
        return runtime.load(path)
    except ImageError as error:
        return error


@contextmanager
def _lines_to(output: str | None) -> Iterator[TextIO]:
    """Give stdout, or a file that takes its name when the block ends, with what was written by then."""
    if output is None:
        yield sys.stdout
        return
    target = Path(output)
    if target.is_dir():
        raise ValueError(f"output={output} is a folder: name a file in it, such as {target / 'decisions.jsonl'}")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    file = partial.open("w", encoding="utf-8")
    try:
        yield file
    finally:
        file.close()
        partial.replace(target)


if __name__ == "__main__":
    run(main, "predict", paths=("model", "input", "output"))
