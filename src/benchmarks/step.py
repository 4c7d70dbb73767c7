"""Suite `step`: one training step by every method, side by side, on the same model, batch and precision."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from ..allocator import keep_freed_memory
from ..backbones import image_spec
from ..tasks.build import best_device
from .measure import interleaved, measured, peak_memory, saved_bytes
from .methods import ALPHA, METHODS, RANK
from .suite import Column, Options, Row, Suite, choose
from .table import count, ratio
from .trainee import CLASSES, PRECISIONS, Case, Trainee, build

log = logging.getLogger(__name__)
MODELS = ("vit_small_patch16_224", "convnext_tiny", "resnet50", "tf_efficientnet_lite0")
BATCHES = {"tf_efficientnet_lite0": 16}
BATCH = 8
WARM_UP, STEPS = 3, 20
REFERENCES = ("full", "peft", "floor")
COMPARED = {
    "step_seconds": "ratio",
    "saved_activation_bytes": "saved_ratio",
    "peak_rss_above_start_bytes": "peak_ratio",
    "cuda_peak_allocated_bytes": "peak_ratio",
}


def run(options: Options) -> list[Row]:
    """Measure every method on every model in every precision.

    Raises:
        ValueError: An unknown model, method or precision.
    """
    models = options.models or MODELS
    for name in models:
        image_spec(name)
    methods = choose("methods", options.methods, METHODS)
    precisions = choose("precisions", options.precisions, PRECISIONS)
    rows: list[Row] = []
    for name in models:
        for precision in precisions:
            case = Case(name, precision, options.batch or BATCHES.get(name, BATCH), options.image_size)
            log.info("%s, %s: %s", case.model, case.precision, ", ".join(methods))
            rows += _compare(case, methods, options.steps or STEPS)
    return rows


def _compare(case: Case, methods: Sequence[str], steps: int) -> list[Row]:
    """Return one row for each method on one case, the case in a process of its own."""
    rows = {method: _labels(case, method) for method in methods}
    for method, row in rows.items():
        row |= measured(peak_memory, case, method)
    able = [method for method, row in rows.items() if "error" not in row]
    together = measured(side_by_side, case, able, steps)
    for method in able:
        rows[method] |= together if "error" in together else together[method]
    for row in rows.values():
        row |= _ratios(row, rows)
    return list(rows.values())


def side_by_side(case: Case, methods: Sequence[str], steps: int) -> dict[str, Row]:
    """Weigh and time the methods together: to be called in a fresh process, whose memory ends with the case."""
    keep_freed_memory()
    rows: dict[str, Row] = {method: {} for method in methods}
    trainees = {method: _warm(case, method, row) for method, row in rows.items()}
    seconds = interleaved({method: trainee.step for method, trainee in trainees.items()}, steps)
    return {method: {**row, "step_seconds": seconds[method]} for method, row in rows.items()}


def _labels(case: Case, method: str) -> Row:
    device = best_device().type
    labels = {"suite": "step", "model": case.model, "method": method, "precision": case.precision, "device": device}
    return {**labels, "batch": case.batch, "image_size": case.image_size}


def _warm(case: Case, method: str, row: Row) -> Trainee:
    """Build a trainee, weigh it into `row`, and take the steps that are not timed."""
    trainee = build(case, method)
    row["trainable_parameters"] = trainee.trainable_parameters()
    row["saved_activation_bytes"] = saved_bytes(trainee.loss, trainee.model)
    for _ in range(WARM_UP):
        trainee.step()
    return trainee


def _ratios(row: Row, rows: Mapping[str, Row]) -> Row:
    """Return the row's figures as parts of each reference's, where both were measured."""
    found: Row = {}
    for figure, name in COMPARED.items():
        for reference in REFERENCES:
            whole = rows.get(reference, {}).get(figure)
            found |= {f"{name}_to_{reference}": row[figure] / whole} if whole and figure in row else {}
    return found


SUITE = Suite(
    run,
    (
        Column("ratio_to_full", "time / full", ratio),
        Column("ratio_to_peft", "time / peft", ratio),
        Column("ratio_to_floor", "time / floor", ratio),
        Column("saved_ratio_to_full", "saved / full", ratio),
        Column("saved_ratio_to_peft", "saved / peft", ratio),
        Column("peak_ratio_to_full", "peak / full", ratio),
        Column("peak_ratio_to_peft", "peak / peft", ratio),
        Column("trainable_parameters", "trained", count),
    ),
    (
        f"Random weights, {CLASSES} classes, one batch of noise; rank {RANK}, alpha {ALPHA:g}; channels-last but for "
        "transformers; the model in train mode; AdamW's step is part of the time, building a batch is not.",
        "peft and graft adapt the same layers: every Linear and every Conv2d that is not grouped, but the head. "
        "graft_all adapts grouped and depthwise convolutions too. All of them train the head. The frozen batch norms "
        "are in eval mode, in peft too.",
        "head trains the head on the frozen backbone, batch norms folded.",
        "floor trains nothing: the forward of the frozen, folded network and the gradient of every layer's input but "
        "the image's, without a weight gradient or an optimiser; its matrix products are torch's, all else is as in "
        "graft.",
        "Times are medians; in each round every method takes one step, in an order drawn anew.",
        "Saved: bytes of activations kept for the backward at the end of the forward, each storage once, the image "
        "included; without parameters, buffers, and their copies in bf16, which every method keeps somewhere.",
        "Peak: in a process of its own; on a CPU peak resident memory above what it held before the model was built, "
        "on a GPU the peak that torch allocated.",
        "Freed memory is kept in the process (mallopt) for every method alike.",
        "full_fast is full fine-tuning with Graft's gradients of depthwise convolutions.",
        "Parameters that start at zero (the last norms of ResNet) are drawn at random: no trained model has them.",
        "In bf16 Graft keeps its copy of every frozen weight from step to step: part of the peak.",
    ),
)
