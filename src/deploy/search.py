"""Find the int8 model that keeps its accuracy, and is fast enough, with the fewest layers left in fp32."""

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
from .speed import Speed

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
        trials: Figures of every model that was judged, on the images that choose.
        speed: Of the file that was written.
        ended: Why no choice of layers passes; empty where one does.
    """

    way: str
    layers: int
    left_out: tuple[str, ...]
    sensitivity: dict[str, float]
    trials: tuple[dict[str, Any], ...]
    speed: Speed
    ended: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the search as JSON-ready values, without the speed, which `Verdict` has."""
        held = {key: value for key, value in vars(self).items() if key != "speed"}
        return held | {"left_out": list(self.left_out), "trials": list(self.trials)}


def find_int8(
    fp32: Path,
    pixels: Iterable[NDArray[Any]],
    judge: Callable[[bytes], Parity],
    measure: Callable[[], Speed],
    path: Path,
) -> Search:
    """Write the int8 model with the fewest fp32 layers that passes `judge`, by bisection.

    Layers stay in fp32 in the order of their sensitivity, which is measured on calibration pictures. The speed is
    measured first: a model that is too slow is not judged, nor is one with more layers in fp32. If none passes, the
    search ends as soon as that is known, and says why.

    Args:
        fp32: The model.
        pixels: Batches of its input from training pictures; iterated several times.
        judge: Returns the figures of a model, on pictures that do not accept it.
        measure: Times the file at `path`.
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
    tries = _Tries(layers, quantise, judge, measure, path)
    # Sensitivity costs a model for each layer, and most networks pass whole.
    ranked: list[OnnxLayer] = []
    sensitivity: dict[str, float] = {}
    ended = "" if tries.is_fast(ranked) else "with every layer in int8 the file is too slow"
    if not ended and not tries.holds(ranked):
        sensitivity = _sensitivity(fp32, layers, quantise, islice(pixels, RANKING_PICTURES), path)
        ranked, ended = _fewest(sorted(layers, key=lambda layer: -sensitivity[layer.name]), tries)
    speed = tries.write(ranked)
    names = tuple(layer.name for layer in ranked)
    ordered = dict(sorted(sensitivity.items(), key=lambda item: -item[1]))
    return Search(way, len(layers), names, ordered, tuple(tries.rows), speed, ended)


class _Tries:
    """Models with some layers left out, each written and measured when it is first asked for."""

    def __init__(
        self,
        layers: Sequence[OnnxLayer],
        quantise: Quantise,
        judge: Callable[[bytes], Parity],
        measure: Callable[[], Speed],
        path: Path,
    ) -> None:
        self._layers, self._quantise, self._judge, self._measure, self._path = layers, quantise, judge, measure, path
        self._written: int | None = None  # layers left out of the file
        self._speeds: dict[int, Speed] = {}
        self.rows: list[dict[str, Any]] = []

    def write(self, left_out: Sequence[OnnxLayer]) -> Speed:
        """Leave the file of these layers, and return its speed."""
        count = len(left_out)
        if self._written != count:
            write_model(self._quantise([layer for layer in self._layers if layer not in left_out]), self._path)
            self._written = count
        if count not in self._speeds:
            self._speeds[count] = self._measure()
        return self._speeds[count]

    def is_fast(self, left_out: Sequence[OnnxLayer]) -> bool:
        """Return whether the model is fast enough."""
        slow = self.write(left_out).broken()
        if slow:
            log.info("int8 with %d of %d layers left out: %s", len(left_out), len(self._layers), slow[0])
        return not slow

    def holds(self, left_out: Sequence[OnnxLayer]) -> bool:
        """Return whether the model decides well enough."""
        self.write(left_out)
        parity = self._judge(self._path.read_bytes())
        self.rows.append(_row(len(left_out), parity))
        log.info("int8 with %d of %d layers left out: %s", len(left_out), len(self._layers), _outcome(parity))
        return parity.passed


def _fewest(ranked: list[OnnxLayer], tries: _Tries) -> tuple[list[OnnxLayer], str]:
    """Return the shortest prefix of `ranked`, longer than none, that holds, or why none does.

    At least one layer is quantised. Where none holds, the prefix is the longest that is fast enough.
    """
    most = _bisect(0, len(ranked), lambda count: not tries.is_fast(ranked[:count])) - 1
    if not most:
        return [], "with every layer in int8 the decisions change too much, with one layer in fp32 it is too slow"
    if not tries.holds(ranked[:most]):
        slow = "" if most == len(ranked) - 1 else ", and with more it is too slow"
        return ranked[:most], f"with {most} of {len(ranked)} layers in fp32 the decisions change too much{slow}"
    return ranked[: _bisect(0, most, lambda count: tries.holds(ranked[:count]))], ""


def _bisect(low: int, high: int, is_enough: Callable[[int], bool]) -> int:
    """Return the smallest number above `low` that is enough; `high` is taken to be, and not asked."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


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
