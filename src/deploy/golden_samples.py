"""Choose the golden samples: inputs and outputs by which a bundle tests itself."""

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
from .precisions import find_precision
from .stages import Pictures

# Each golden sample costs one decision at every start, so two are kept.
LOOKED_AT, KEPT = 16, 2


def choose_golden(
    run: Callable[[Pictures], Outputs],
    paths: Sequence[Path],
    image: ImageSpec,
    task: TaskSpec,
    precision: str,
    profile: str,
) -> Golden:
    """Return the most certain picture for each of up to `KEPT` decisions, with the model's outputs.

    For a picture near a decision boundary, the rounding of another processor could change the decision.

    Args:
        run: The ONNX file, from pictures as it takes them to its outputs.
        paths: Pictures to choose from; `LOOKED_AT` of them, evenly spaced, are run.
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
        find_precision(precision).tolerance,
    )
