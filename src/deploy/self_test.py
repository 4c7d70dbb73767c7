"""Choose the pictures by which a bundle tests itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.edge.golden import Golden
from src.edge.preprocess import load
from src.edge.profile import FITS
from src.edge.runtime import open_session, run_pictures
from src.spec import ImageSpec

# Two pictures hold the start of the camera up by two decisions, no more.
LOOKED_AT, KEPT, THREADS = 16, 2, 2

# Other processors add in another order, and some saturate where this one does not.
_RELATIVE_TOLERANCE = {"fp32": 1e-3, "fp16": 0.02, "int8": 0.05}


def choose_golden(model: bytes, paths: Sequence[Path], image: ImageSpec, precision: str, profile: str) -> Golden:
    """Return the most certain picture of each of the first decisions, with the model's own outputs.

    A picture near the border between two classes would be decided otherwise by the next processor's rounding.

    Args:
        model: The ONNX file's content.
        paths: Pictures to choose from; a few, evenly spaced, are looked at.
        image: How a picture becomes the network's input.
        precision: Number format of the file; decides the tolerance.
        profile: What the file takes.
    """
    chosen = paths[:: max(1, len(paths) // LOOKED_AT)][:LOOKED_AT]
    inputs = [load(path, image, FITS[profile]) for path in chosen]
    outputs = run_pictures(open_session(model, THREADS), inputs)
    certainty, decisions = outputs[1].max(axis=1), outputs[2]
    best: dict[int, int] = {}
    for number in np.argsort(-certainty, kind="stable").tolist():
        best.setdefault(int(decisions[number]), number)
    kept = list(best.values())[:KEPT]
    scale = float(np.abs(outputs[0]).max())
    return Golden(
        [inputs[number] for number in kept],
        tuple(item[kept] for item in outputs),
        _RELATIVE_TOLERANCE[precision] * max(scale, 1.0),
    )
