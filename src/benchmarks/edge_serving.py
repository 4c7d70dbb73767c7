"""What serving costs beside the network: its own overhead, and how well reading and deciding overlap."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from numpy.typing import NDArray
from onnxruntime import InferenceSession

from ..edge.decide import decide
from ..edge.frames import Frame, Source
from ..edge.inputs import Pictures
from ..edge.preprocess import Pixels
from ..edge.runtime import Runtime
from ..edge.session import INPUT, open_session
from ..edge.writers import open_lines
from .edge_files import Bundle
from .edge_latency import THREADS
from .measure import PICKS, timed
from .suite import Row


class Fitted(Runtime):
    """A runtime for pictures that are as its network takes them."""

    def fit(self, pixels: Pixels) -> NDArray[Any]:
        """Return the picture itself."""
        return pixels


@dataclass(frozen=True)
class Memory(Source):
    """Pictures that need no reading."""

    pictures: Sequence[Pixels]

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield them in their order."""
        for number, picture in enumerate(self.pictures):
            yield Frame(f"{number}", f"{number}", lambda _, picture=picture: picture)  # type: ignore[misc]


def time_serving(bundles: Sequence[Bundle], pictures: Sequence[Path], rounds: int) -> list[Row]:
    """Time the network, the reading, both as `predict` overlaps them, and `predict` without any reading, in turn.

    Args:
        bundles: What serves.
        pictures: The image files of one round.
        rounds: How often each is timed.

    Returns:
        The figures of each bundle, for one picture.
    """
    with tempfile.TemporaryDirectory() as folder:
        steps: dict[str, Callable[[], object]] = {}
        for bundle in bundles:
            session, runtime = open_session(bundle.model.read_bytes(), THREADS), Runtime(bundle.folder, THREADS)
            fitted, pixels = Fitted(bundle.folder, THREADS), [runtime.load(path) for path in pictures]
            output = Path(folder) / f"{bundle.name}.jsonl"
            steps |= {
                f"{bundle.name} load": partial(Runtime, bundle.folder, THREADS),
                f"{bundle.name} run": partial(_run, session, pixels),
                f"{bundle.name} share": partial(_share, session, pixels),
                f"{bundle.name} read": partial(_read, runtime, pictures),
                f"{bundle.name} serve": partial(_serve, fitted, Memory(pixels), output),
                f"{bundle.name} pipeline": partial(_serve, runtime, Pictures(tuple(pictures)), output),
            }
        seconds = {name: taken[1:] for name, taken in timed(steps, 1 + rounds).items()}
    parts = ("load", "run", "share", "read", "serve", "pipeline")
    return [_row(len(pictures), *(seconds[f"{bundle.name} {part}"] for part in parts)) for bundle in bundles]


def _run(session: InferenceSession, pixels: Sequence[Pixels]) -> None:
    for picture in pixels:
        session.run(None, {INPUT: picture[None]})


def _share(session: InferenceSession, pixels: Sequence[Pixels]) -> None:
    """Run the network in two threads, which shows whether there are two cores to overlap on."""
    half = len(pixels) // 2
    other = Thread(target=_run, args=(session, pixels[:half]))
    other.start()
    _run(session, pixels[half:])
    other.join()


def _read(runtime: Runtime, pictures: Sequence[Path]) -> None:
    for path in pictures:
        runtime.load(path)


def _serve(runtime: Runtime, source: Source, output: Path) -> None:
    """Do what `predict` does between its start and its end."""
    with open_lines(str(output), runtime.task, source.facts) as write:
        for picture in decide(runtime, source):
            write(picture.line())


def _row(
    count: int,
    load: Sequence[float],
    run: Sequence[float],
    share: Sequence[float],
    read: Sequence[float],
    serve: Sequence[float],
    pipeline: Sequence[float],
) -> Row:
    row: Row = {"load_ms": statistics.median(load) * 1000, "pictures": count, "serving_n": len(run)}
    for name, pick in PICKS.items():
        network, reading, whole = pick(run), pick(read), pick(pipeline)
        added = pick(serve) - network
        row |= {
            f"{name}overhead_ms": added / count * 1000,
            f"{name}overhead_ratio": added / network,
            f"{name}read_ms": reading / count * 1000,
            f"{name}pipeline_images_per_second": count / whole,
            f"{name}free_cores": network / pick(share),
            f"{name}pipeline_ratio": max(network, reading) / whole,
        }
    return row
