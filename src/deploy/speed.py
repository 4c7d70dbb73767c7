"""Measure how much faster one ONNX file is than another on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..edge.lines import ActiveAdapter
from ..edge.session import open_session, run_session

ROUNDS, WARM_UP, THREADS = 30, 3, 1


@dataclass(frozen=True)
class Speed:
    """The time of one decision, one picture at a time on one thread.

    Attributes:
        fp32_ms: Shortest time of the fp32 file, in milliseconds.
        shipped_ms: Shortest time of the file that ships.
        min_speedup: Least `speedup` of a bundle that ships; None if speed does not decide.
        rounds: Number of times each was measured.
    """

    fp32_ms: float
    shipped_ms: float
    min_speedup: float | None
    rounds: int = ROUNDS

    @property
    def speedup(self) -> float:
        """Time of the fp32 file divided by that of the shipped file."""
        return self.fp32_ms / self.shipped_ms

    def broken(self) -> list[str]:
        """Return the limit that is not reached, in a few words."""
        if self.min_speedup is None or self.speedup >= self.min_speedup:
            return []
        return [f"{self.speedup:.2f} times as fast as fp32, {self.min_speedup:g} times wanted"]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values."""
        return vars(self) | {"speedup": self.speedup, "threads": THREADS, "batch": 1}


def measure_speed(
    fp32: bytes,
    shipped: bytes,
    pixels: NDArray[Any],
    min_speedup: float | None,
    adapter: ActiveAdapter | None = None,
) -> Speed:
    """Time two files alternately; the minimum of many rounds counts, since other processes only add time.

    Args:
        fp32: The file to compare with.
        shipped: The file to ship.
        pixels: One picture as the files take it, without the batch.
        min_speedup: Least speed-up, or None.
        adapter: Adapter of the second file, where that is the base of several lines.
    """
    adapters = (None, adapter)
    sessions = [open_session(model, THREADS) for model in (fp32, shipped)]
    taken: Sequence[list[float]] = ([], [])
    # Alternately, so that a change of the processor's clock affects both files.
    for _ in range(WARM_UP + ROUNDS):
        for session, used, times in zip(sessions, adapters, taken, strict=True):
            begin = time.perf_counter()
            run_session(session, pixels[None], used)
            times.append((time.perf_counter() - begin) * 1000)
    first, second = (min(times[WARM_UP:]) for times in taken)
    return Speed(first, second, min_speedup)
