"""What steers a training: the figures that the report gives, on the validation images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from src.backbones.outputs import interpret
from src.data import Sample
from src.metrics import Decided, Figures, compute
from src.spec import SCORES, TaskSpec


def figures(logits: Tensor, targets: Tensor, task: TaskSpec) -> Figures:
    """Return what the report says of these images.

    Args:
        logits: N x outputs.
        targets: As the data gives them without augmentation, see `src.data.targets`.
        task: What the outputs mean.
    """
    probabilities, decided = interpret(logits.double(), task)
    aims = targets[:, 0] if task.kind == "regression" else targets
    return compute(
        Decided(task.kind, task.classes, probabilities.numpy(), aims.numpy(), decided.numpy()), task.positive
    )


def require_score(kind: str, samples: Sequence[Sample]) -> None:
    """Refuse validation images on which the score that steers a training does not exist, whatever is decided.

    Args:
        kind: One of `src.spec.KINDS`.
        samples: The images of val.

    Raises:
        ValueError: They are so.
    """
    score = SCORES[kind].replace("_", " ")
    if kind == "regression" and len({np.float32(sample.value or 0) for sample in samples}) < 2:
        raise ValueError("val has one value only, which no score can tell apart: give it more images")
    if kind == "ordinal" and len({sample.label for sample in samples}) < 2:
        raise ValueError(
            f"every image of val has the grade {samples[0].label!r}, so there is no {score} to steer by: "
            "give val images of other grades, or take the source's val split away and one is cut"
        )
    if kind == "multilabel" and not _parted(samples):
        raise ValueError(
            f"val has no label that some of its images have and others lack, so there is no {score} to steer by: "
            "give val images with a label and without, or take the source's val split away and one is cut"
        )


def _parted(samples: Sequence[Sample]) -> bool:
    """Tell whether some label is on some of the images and not on others."""
    return len({frozenset(sample.labels or ()) for sample in samples}) > 1
