"""Decide about pictures with a bundle: `python -m src.predict model=BUNDLE input=FILE|DIR|GLOB|VIDEO|URL|CAMERA`."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from .command import run

if __name__ == "__main__":
    run("predict")

from .decision import VERDICTS
from .edge import Annotator, Runtime, Source, decide, find_bundle, find_source, open_lines, release_freed_memory


def main(config: DictConfig) -> None:
    """Write one line per picture, and the counts to stderr.

    Raises:
        ValueError: The bundle or the input cannot be used, or not one picture could be decided.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service that is stopped keeps its lines too
    source = find_source(str(config.input), config.watch, config.idle, config.retries)
    for key in ("output", "annotate"):
        _require_outside(config, key)
    if config.output is not None and source.reads(Path(str(config.output))):
        raise ValueError(f"output={config.output} is a picture of the input: name another file")
    verify = None if config.verify is None else str(config.verify)
    runtime = Runtime(str(config.model), config.threads, verify)
    if config.adapter is not None:
        runtime = runtime.line(str(config.adapter))
    annotator = None if config.annotate is None else Annotator(str(config.annotate), source)
    release_freed_memory()
    tally, written = Tally(source), "" if config.output is None else f": {config.output}"
    try:
        with (
            open_lines(config.output, runtime.task, source.facts, source.live, runtime.decision is not None) as write,
            closing(decide(runtime, source, config.batch_size, keep_originals=annotator is not None)) as pictures,
        ):
            for picture in islice(pictures, config.max_images):
                line = picture.line()
                write(line)
                tally.add(line)
                if annotator:
                    annotator.write(picture)
    except BrokenPipeError:  # the reader, such as `head`, has enough
        pass
    except KeyboardInterrupt:
        _tell(runtime, f"{tally}{written}")
        raise
    if not tally.decided:
        why = "no picture could be decided, the error of each line says why" if tally.broken else "no picture came"
        raise ValueError(f"{tally}: {why}")
    _tell(runtime, f"{tally}{written}")


def _require_outside(config: DictConfig, key: str) -> None:
    """Refuse to write into the bundle: it would not be served with a file that does not belong to it."""
    bundle = find_bundle(str(config.model)).resolve()
    if config[key] is not None and Path(str(config[key])).resolve().is_relative_to(bundle):
        raise ValueError(f"{key}={config[key]} lies in the bundle {bundle}: choose a place outside")


def _tell(runtime: Runtime, counts: str) -> None:
    """Write the counts, and before them that the lines hold no verdicts, or verdicts without a promise."""
    decision = runtime.decision
    if decision is None:
        print("not certified: no verdict, no promise", file=sys.stderr)
    elif decision.origin != "certified":
        print(f"thresholds {decision.origin}, not certified: verdicts without a promise", file=sys.stderr)
    print(counts, file=sys.stderr)


class Tally:
    """The counts of a run."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.decided = self.broken = self.dropped = 0
        self.verdicts: Counter[str] = Counter()

    def add(self, line: dict[str, Any]) -> None:
        """Count a line that was written."""
        self.broken += "error" in line
        self.decided += "error" not in line
        self.dropped = line.get("dropped", 0)
        if "verdict" in line:
            self.verdicts[line["verdict"]] += 1

    def __str__(self) -> str:
        dropped = f", {self.dropped} dropped" if self.dropped else ""
        each = ", ".join(f"{self.verdicts[word]} {word}" for word in VERDICTS)
        verdicts = f" ({each})" if self.verdicts else ""
        return f"{self.decided} decided{verdicts}, {self.broken} broken{dropped}{self._source.left_out()}"
