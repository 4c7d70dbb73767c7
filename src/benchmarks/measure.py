"""Measure time, saved activations and peak memory, each so that methods compare."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import torch
from torch import Tensor, nn

from ..allocator import keep_freed_memory
from .suite import failure
from .trainee import Case, build

# How the times of one step become a figure, and what such a figure's name begins with.
PICKS: dict[str, Callable[[Sequence[float]], float]] = {"": statistics.median, "min_": min}


def interleaved(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return each step's median time in seconds, of `timed`."""
    return {name: statistics.median(taken) for name, taken in timed(steps, rounds).items()}


def timed(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run every step once a round, in an order drawn anew each round, and return the seconds of each, round by round.

    What else the machine does then falls on all of them alike, and none always follows the same other.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    random = Random(0)
    for _ in range(rounds):
        for name in random.sample(list(steps), len(steps)):
            start = time.perf_counter()
            steps[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def saved_bytes(forward: Callable[[], Tensor], model: nn.Module) -> int:
    """Return the bytes of activations that `forward` keeps for its backward, each storage once.

    Parameters and buffers are left out, and so are copies of them in the precision of autocast, wherever they are kept.
    """
    own = {value.untyped_storage().data_ptr() for value in (*model.parameters(), *model.buffers())}
    saved: dict[int, Tensor] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = x.detach().new_empty(0).set_(storage)
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        kept = forward()  # alive until here, so that no address is used twice
    del kept
    by_size: dict[int, list[Tensor]] = {}
    for parameter in model.parameters():
        by_size.setdefault(parameter.numel(), []).append(parameter.detach())
    return sum(x.nbytes for x in saved.values() if not any(_is_copy(x, p) for p in by_size.get(x.numel(), ())))


def _is_copy(flat: Tensor, parameter: Tensor) -> bool:
    """Tell whether `flat` holds the values of `parameter`, in the order of memory and another precision."""
    cast = parameter.to(flat.dtype)
    return flat.dtype != parameter.dtype and torch.equal(flat, cast.new_empty(0).set_(cast.untyped_storage()))


def peak_memory(case: Case, method: str, steps: int = 3) -> dict[str, int]:
    """Train a few steps and return this process's peak: to be called in a fresh one.

    Returns:
        `cuda_peak_allocated_bytes` on a GPU; else `peak_rss_above_start_bytes`, which leaves out the libraries that
        were loaded before.
    """
    keep_freed_memory()
    start = _peak_rss()
    trainee = build(case, method)
    for _ in range(steps):
        trainee.step()
    if trainee.images.is_cuda:
        return {"cuda_peak_allocated_bytes": torch.cuda.max_memory_allocated()}
    return {"peak_rss_above_start_bytes": _peak_rss() - start}


@contextmanager
def peaks(interval: float = 0.01) -> Iterator[dict[str, int]]:
    """Sample this process's memory while the block runs.

    Args:
        interval: Seconds between two samples.

    Yields:
        A mapping that is filled when the block ends: `peak_anonymous_bytes`, what the process holds and the system
        cannot take back, and `peak_resident_bytes`, mapped files included; empty where there is no Linux to ask.
    """
    found: dict[str, int] = {}
    over = Event()

    def sample() -> None:
        while True:
            found.update({f"peak_{name}": max(found.get(f"peak_{name}", 0), size) for name, size in held().items()})
            if over.wait(interval):
                return

    thread = Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def held() -> dict[str, int]:
    """Return this process's `anonymous_bytes` and `resident_bytes` now; empty where there is no Linux to ask."""
    names = {"RssAnon:": "anonymous_bytes", "VmRSS:": "resident_bytes"}
    status = Path("/proc/self/status")
    lines = [line.split() for line in status.read_text().splitlines()] if status.exists() else []
    return {names[words[0]]: int(words[1]) * 1024 for words in lines if words and words[0] in names}


@contextmanager
def fresh_processes() -> Iterator[ProcessPoolExecutor]:
    """Give an executor for calls in a new process, which holds the same libraries whatever it calls.

    A fork server loads them once. A process started from this one would count our own peak as its own: Linux hands
    `ru_maxrss` on through `exec`, but not through `fork`.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, "peft"])
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as executor:
        try:
            yield executor
        except KeyboardInterrupt:  # nobody waits for the other process any more, and it may have minutes to go
            for process in active_children():
                process.terminate()
            raise


def measured(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Return what a function measures in a new process, or the `error` of what it could not do or was killed for."""
    try:
        with fresh_processes() as processes:
            return processes.submit(function, *arguments).result()
    except Exception as error:  # whatever a method cannot do is its row in the table
        return failure(error)


def _peak_rss() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
