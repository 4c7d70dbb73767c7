"""Measure time, saved activations and peak memory, each so that methods compare."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from random import Random

import torch
from torch import Tensor, nn

from src.benchmarks.trainee import Case, build
from src.tasks.memory import keep_freed_memory


def interleaved(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run every step once a round, in an order drawn anew each round, and return each one's median time in seconds.

    What else the machine does then falls on all of them alike, and none always follows the same other.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    random = Random(0)
    for _ in range(rounds):
        for name in random.sample(list(steps), len(steps)):
            start = time.perf_counter()
            steps[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def saved_bytes(forward: Callable[[], Tensor], model: nn.Module) -> int:
    """Return the bytes that `forward` keeps for its backward: each storage once, parameters and buffers left out."""
    own = {value.untyped_storage().data_ptr() for value in (*model.parameters(), *model.buffers())}
    sizes: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        kept = forward()  # alive until here, so that no address is used twice
    del kept
    return sum(sizes.values())


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
def fresh_processes() -> Iterator[ProcessPoolExecutor]:
    """Give an executor that runs each call in a new process, which holds the same libraries whatever it calls.

    A fork server loads them once. A process started from this one would count our own peak as its own: Linux hands
    `ru_maxrss` on through `exec`, but not through `fork`.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, "peft"])
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as executor:
        yield executor


def _peak_rss() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
