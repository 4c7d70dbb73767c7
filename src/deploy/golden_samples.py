"""Choose the pictures by which a bundle tests itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..edge.golden import Golden
from ..edge.preprocess import load
from ..edge.profile import FITS
from ..edge.session import Outputs
from ..kinds import find_kind
from ..spec import ImageSpec, TaskSpec
from .stages import Pictures

# Two pictures hold the start of the camera up by two decisions, no more.
LOOKED_AT, KEPT = 16, 2

# Other processors add in another order, and some saturate where this one does not.
_RELATIVE_TOLERANCE = {"fp32": 1e-3, "fp16": 0.02, "int8": 0.05}


def choose_golden(
    run: Callable[[Pictures], Outputs],
    paths: Sequence[Path],
    image: ImageSpec,
    task: TaskSpec,
    precision: str,
    profile: str,
) -> Golden:
    """Return the most certain picture of each of the first decisions, with the model's own outputs.

    A picture near the border between two classes would be decided otherwise by the next processor's rounding.

    Args:
        run: The ONNX file, from pictures as it takes them to its outputs.
        paths: Pictures to choose from; a few, evenly spaced, are looked at.
        image: How a picture becomes the network's input.
        task: What the outputs mean.
        precision: Number format of the file; decides the tolerance.
        profile: What the file takes.
    """
    chosen = paths[:: max(1, len(paths) // LOOKED_AT)][:LOOKED_AT]
    inputs = [load(path, image, FITS[profile]) for path in chosen]
    outputs = run(inputs)
    certainty = find_kind(task.kind).certainty(outputs[1])
    best: dict[bytes, int] = {}
    for number in np.argsort(-certainty, kind="stable").tolist():
        best.setdefault(outputs[2][number].tobytes(), number)
    kept = list(best.values())[:KEPT]
    return Golden(
        [inputs[number] for number in kept],
        tuple(item[kept] for item in outputs),
        _RELATIVE_TOLERANCE[precision],
    )
