"""Decide about the pictures of a source: a thread reads and resizes ahead while the network runs."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

from ..spec import Decision, Measurement
from .ahead import ReadAhead
from .frames import Prepared, Source, prepare
from .preprocess import ImageError
from .runtime import Runtime


@dataclass(frozen=True)
class Decided:
    """A picture and what was decided about it; None for a broken one."""

    picture: Prepared
    decision: Decision | Measurement | None
    ms: float

    def line(self) -> dict[str, Any]:
        """Return the line of the picture, JSON-ready: the decision, or the error."""
        where = {"path": self.picture.frame.path, **self.picture.frame.facts}
        if self.decision is None:
            return where | {"error": self.picture.error}
        told = {key: value for key, value in vars(self.decision).items() if (key, value) != ("verdict", None)}
        return where | told | {"ms": round(self.ms, 3)}


def decide(
    runtime: Runtime, source: Source, batch_size: int = 1, keep_originals: bool = False
) -> Generator[Decided, None, None]:
    """Yield the decision about every picture of a source, in its order, with few pictures in memory at a time.

    `ms` is the time to read and resize the picture, plus its equal share of the network's run.

    Args:
        runtime: The bundle that decides.
        source: Where the pictures come from.
        batch_size: Pictures in one run of the network; a live source's run takes what has come.
        keep_originals: Keep each picture as it was before the resize, until it was yielded.

    Raises:
        ValueError: The source cannot be opened.
    """
    stop = Event()
    with ReadAhead(_prepared(source, stop, runtime, keep_originals), batch_size) as ready:
        try:
            while batch := ready.take(batch_size, fill=not source.live):
                yield from _run(runtime, batch)
        finally:
            stop.set()


def _prepared(source: Source, stop: Event, runtime: Runtime, keep_originals: bool) -> Generator[Prepared, None, None]:
    for frame in source.frames(stop):
        yield prepare(frame, runtime.fit, runtime.image.bit_depth, keep_originals)


def _run(runtime: Runtime, batch: list[Prepared]) -> list[Decided]:
    begin = time.perf_counter()
    good = [picture.pixels for picture in batch if picture.pixels is not None]
    try:
        decisions = iter(runtime.decide(good) if good else ())
    except ImageError as error:
        if len(batch) > 1:  # one by one, so that only the broken ones are left out
            return [decided for picture in batch for decided in _run(runtime, [picture])]
        broken = replace(batch[0], pixels=None, error=f"{batch[0].frame.path}: {error}")
        return [Decided(broken, None, broken.ms)]
    share = (time.perf_counter() - begin) * 1000 / max(len(good), 1)
    return [
        Decided(picture, None if picture.pixels is None else next(decisions), picture.ms + share) for picture in batch
    ]
