"""How long one decision of each bundle takes, beside the others and beside the processor's best."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..edge.preprocess import decode
from ..edge.runtime import Runtime
from ..edge.session import INPUT, SPINNING, open_session
from .edge_files import Bundle
from .measure import PICKS, timed
from .roofline import OPERATIONS, product
from .suite import Row

THREADS, WARM_UP = 1, 3
PRODUCTS = {"fp32": "fp32", "fp16": "fp32", "int8": "int8"}  # a CPU computes fp16 in fp32

Times = Mapping[str, Sequence[float]]


def time_decisions(bundles: Sequence[Bundle], picture: Path, rounds: int) -> list[Row]:
    """Time the network alone and from a file to its decision, of all bundles in turn, and two matrix products.

    Args:
        bundles: All of one model, `base` and `merged` in fp32 among them.
        picture: An image file.
        rounds: How often each is timed.

    Returns:
        The figures of each bundle.
    """
    steps: dict[str, Callable[[], object]] = {}
    sessions = [open_session(bundle.model.read_bytes(), THREADS) for bundle in bundles]
    for bundle, session in zip(bundles, sessions, strict=True):
        runtime = Runtime(bundle.folder, THREADS)
        steps[f"{bundle.name} run"] = partial(session.run, None, {INPUT: runtime.load(picture)[None]})
        steps[f"{bundle.name} file"] = partial(_from_file, runtime, picture)
    steps |= {"decode": partial(decode, picture), "resize": partial(runtime.fit, decode(picture))}
    steps |= {f"product {precision}": product(precision, THREADS) for precision in set(PRODUCTS.values())}
    seconds = {name: taken[WARM_UP:] for name, taken in timed(steps, WARM_UP + rounds).items()}
    common = {
        **{"n": rounds, "warm_up": WARM_UP, "batch": 1, "threads": THREADS, "load": os.getloadavg()[0]},
        "spinning": sessions[0].get_session_options().get_session_config_entry(SPINNING) != "0",
        "provider": sessions[0].get_providers()[0],
        **spread("decode_", seconds["decode"]),
        **spread("resize_", seconds["resize"]),
    }
    return [common | _figures(bundle, seconds) | _ratios(bundle, seconds) for bundle in bundles]


def _from_file(runtime: Runtime, picture: Path) -> None:
    runtime.decide([runtime.load(picture)])


def spread(name: str, seconds: Sequence[float]) -> Row:
    """Return percentiles and the smallest of some times, in milliseconds, under keys that start with `name`."""
    cuts = {f"{name}p{part}_ms": float(np.percentile(seconds, part)) * 1000 for part in (50, 95, 99)}
    return {**cuts, f"{name}min_ms": min(seconds) * 1000}


def _figures(bundle: Bundle, seconds: Times) -> Row:
    row: Row = {"operations": bundle.operations, "model_bytes": bundle.model.stat().st_size}
    run, best = seconds[f"{bundle.name} run"], seconds[f"product {PRODUCTS[bundle.precision]}"]
    row |= spread("", run) | spread("with_preprocessing_", seconds[f"{bundle.name} file"])
    for name, pick in PICKS.items():
        reached, peak = bundle.operations / pick(run) / 1e9, OPERATIONS / pick(best) / 1e9
        row |= {f"{name}gflops": reached, f"{name}gemm_gflops": peak, f"{name}gemm_fraction": reached / peak}
    return row


def _ratios(bundle: Bundle, seconds: Times) -> Row:
    """Return a file's time as parts of those that it is compared with."""
    if bundle.method == "base":
        return {}
    key, reference = ("ratio_to_base", "base fp32") if bundle.precision == "fp32" else ("ratio_to_fp32", "merged fp32")
    return {
        f"{name}{key}": pick(seconds[f"{bundle.name} run"]) / pick(seconds[f"{reference} run"])
        for name, pick in PICKS.items()
    }
