"""Find the int8 model that keeps its accuracy with the fewest layers left in fp32."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..edge.session import open_session, run_each
from .layers import OnnxLayer, find_layers
from .model_file import write_model
from .parity import Parity
from .quantise import Quantise, quantisable, quantiser

RANKING_PICTURES, THREADS = 16, 2
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Search:
    """How an int8 model was found.

    Attributes:
        way: `static` or `dynamic`, see `src.deploy.quantise`.
        layers: Number of layers that could be quantised; the head is not among them.
        left_out: Names of those that stay in fp32, the most sensitive first.
        sensitivity: Mean |d logit| with only that layer in int8, the most sensitive first; empty where no layer has
            to stay in fp32.
        trials: Figures of every model that was tried.
    """

    way: str
    layers: int
    left_out: tuple[str, ...]
    sensitivity: dict[str, float]
    trials: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the search as JSON-ready values."""
        return vars(self) | {"left_out": list(self.left_out), "trials": list(self.trials)}


def find_int8(fp32: Path, pixels: Iterable[NDArray[Any]], judge: Callable[[bytes], Parity], path: Path) -> Search:
    """Write the int8 model with the fewest fp32 layers that passes `judge`, by bisection; if none passes, the last one.

    Accuracy alone decides. Layers stay in fp32 in the order of their sensitivity, which is measured on calibration
    pictures: those of `judge` must not choose the model that they judge.

    Args:
        fp32: The model.
        pixels: Batches of its input from training pictures; iterated several times.
        judge: Returns the figures of a model.
        path: The file to write.

    Raises:
        ValueError: The model has no layer to quantise, or there are no pictures.
    """
    if next(iter(pixels), None) is None:
        raise ValueError("int8 is calibrated on training images, and there are none: use precision=fp32")
    model = onnx.load(fp32)
    layers = quantisable(find_layers(model.graph), model)
    if not layers:
        raise ValueError("this backbone has no layer that int8 makes smaller: use precision=fp32")
    way, quantise = quantiser(model, layers, pixels)
    trials: list[dict[str, Any]] = []

    def holds(left_out: Sequence[OnnxLayer]) -> bool:
        write_model(quantise([layer for layer in layers if layer not in left_out]), path)
        parity = judge(path.read_bytes())
        trials.append(_row(len(left_out), parity))
        log.info("int8 with %d of %d layers left out: %s", len(left_out), len(layers), _outcome(parity))
        return parity.passed

    # Sensitivity costs a model for each layer, and most networks pass whole.
    ranked: list[OnnxLayer] = []
    sensitivity: dict[str, float] = {}
    if not holds(ranked):
        sensitivity = _sensitivity(fp32, layers, quantise, islice(pixels, RANKING_PICTURES), path)
        ranked = sorted(layers, key=lambda layer: -sensitivity[layer.name])
        ranked = _fewest(ranked, holds)
    names = tuple(layer.name for layer in ranked)
    ordered = dict(sorted(sensitivity.items(), key=lambda item: -item[1]))
    return Search(way, len(layers), names, ordered, tuple(trials))


def _fewest(ranked: list[OnnxLayer], holds: Callable[[Sequence[OnnxLayer]], bool]) -> list[OnnxLayer]:
    """Return the shortest prefix of `ranked` that holds, and leave its file; at least one layer is quantised."""
    fails, enough, judged = 0, len(ranked), None
    while enough - fails > 1:
        judged = (fails + enough) // 2
        fails, enough = (fails, judged) if holds(ranked[:judged]) else (judged, enough)
    kept = ranked[: min(enough, len(ranked) - 1)]
    if len(kept) != judged:  # the file is that of the last trial
        holds(kept)
    return kept


def _sensitivity(
    fp32: Path, layers: Sequence[OnnxLayer], quantise: Quantise, pixels: Iterable[NDArray[Any]], path: Path
) -> dict[str, float]:
    """Return the mean |d logit| for each layer when only that layer is in int8."""
    pictures = [picture for batch in pixels for picture in batch]
    expected = run_each(open_session(fp32.read_bytes(), THREADS), pictures)[0]
    found = {}
    for layer in layers:
        write_model(quantise([layer]), path)
        logits = run_each(open_session(path.read_bytes(), THREADS), pictures)[0]
        found[layer.name] = float(np.abs(logits - expected).mean())
    return found


def _row(left_out: int, parity: Parity) -> dict[str, Any]:
    figures = parity.to_dict()
    keys = ("passed", "max_abs_logit_diff", "mean_abs_logit_diff", "changed_decisions", "accuracy_onnx", "auroc_onnx")
    drop = parity.accuracy_torch - parity.accuracy_onnx
    return {"left_out": left_out, "accuracy_drop": drop} | {key: figures[key] for key in keys}


def _outcome(parity: Parity) -> str:
    return "; ".join(parity.broken()) or "within the budget"
