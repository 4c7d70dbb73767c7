"""Suite `edge`: what an exported file costs on the camera, and what merging, int8 and serving change about it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..backbones import image_spec
from .edge_files import PICTURE, Bundle, write_bundles, write_photographs
from .edge_goals import MB, summarise
from .edge_latency import THREADS, time_decisions
from .edge_process import start_bundles
from .edge_serving import time_serving
from .methods import ALPHA, RANK
from .roofline import SIDE
from .suite import Column, Options, Row, Suite, failure
from .table import ratio

log = logging.getLogger(__name__)
MODELS = ("tf_efficientnet_lite0", "resnet18")
PICTURES = 32
ROUNDS = 160
SERVING, STARTS = 16, 32  # rounds of single decisions for each round of all pictures, and for each start of a process
SERVED = ("merged fp32", "merged int8")


def run(options: Options) -> Iterator[Row]:
    """Yield one row for each file of each model.

    Raises:
        ValueError: An unknown model.
    """
    models = options.models or MODELS
    for name in models:
        image_spec(name)
    for name in models:
        log.info("%s", name)
        try:
            yield from _measure(name, options.image_size, options.steps or ROUNDS)
        except Exception as error:  # a model that cannot be measured is its row in the table
            for method, precision in map(str.split, SERVED):
                yield {"suite": "edge", "model": name, "method": method, "precision": precision, **failure(error)}


def _measure(name: str, image_size: int, rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="graft-edge-") as folder:
        root = Path(folder)
        pictures = write_photographs(root / "pictures", PICTURES)
        bundles = write_bundles(name, image_size, pictures, root)
        served = [bundle for bundle in bundles if bundle.name in SERVED]
        rows = {bundle.name: _labels(name, image_size, bundle) for bundle in bundles}
        parts = (
            (bundles, time_decisions(bundles, pictures[0], rounds)),
            (served, time_serving(served, pictures, max(1, rounds // SERVING))),
            (served, start_bundles(served, root / "pictures", max(1, rounds // STARTS))),
        )
        for measured, figures in parts:
            for bundle, row in zip(measured, figures, strict=True):
                rows[bundle.name] |= row
    return list(rows.values())


def _labels(name: str, image_size: int, bundle: Bundle) -> Row:
    labels = {"suite": "edge", "model": name, "method": bundle.method, "precision": bundle.precision}
    return {**labels, "image_size": image_size, "picture_width": PICTURE[0], "picture_height": PICTURE[1]}


def _ms(value: float) -> str:
    return f"{value:.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _megabytes(size: int) -> str:
    return f"{size / MB:.0f}"


SUITE = Suite(
    run,
    (
        Column("p50_ms", "p50", _ms),
        Column("p95_ms", "p95", _ms),
        Column("p99_ms", "p99", _ms),
        Column("min_ms", "min", _ms),
        Column("with_preprocessing_p50_ms", "file / p50", _ms),
        Column("ratio_to_base", "of / base", ratio),
        Column("ratio_to_fp32", "of / fp32", ratio),
        Column("min_gemm_fraction", "of / GEMM", ratio),
        Column("overhead_ratio", "own / %", _percent),
        Column("pipeline_ratio", "pipe", ratio),
        Column("start_seconds", "start / s", ratio),
        Column("peak_bytes", "peak / MB", _megabytes),
        Column("model_bytes", "file / MB", lambda size: f"{size / MB:.1f}"),
    ),
    (
        f"Random weights, profile u8, onnxruntime on {THREADS} thread, batch 1, all in turn in one run. base: the "
        f"backbone's own export. merged: with an adapter of rank {RANK}, alpha {ALPHA:g} on every layer, merged. fp16 "
        "and int8 are made by the code of the gate, every layer but the head; their accuracy is not judged here.",
        "p50 to min: milliseconds of the network alone. file: the median from a JPEG file of "
        f"{PICTURE[0]} x {PICTURE[1]} pixels to the decision, one after the other. of base, of fp32: of the medians.",
        "of GEMM: multiplications and additions of Conv, Gemm and MatMul in a second, as a part of those of "
        f"onnxruntime's product of two {SIDE} x {SIDE} matrices (MatMul; of int8 MatMulInteger), both at their best.",
        "own: what predict adds to the network without reading and resizing (threads, decisions, lines), in percent of "
        f"its time, over {PICTURES} pictures. pipe: throughput of predict from files, as a part of the slower one of "
        "reading (decode and resize) and network alone; it needs a second core that is free.",
        "start: from the start of a fresh predict process to its first line, without that of one that imports numpy, "
        "onnxruntime and Pillow. peak: the most that process held (VmHWM), with predict's own defaults.",
    ),
    options=("models", "steps", "image_size"),
    summarise=summarise,
)
