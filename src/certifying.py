"""What certifying needs of a run: whether a bundle is of it, what the file says of images, how often they were used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .atomic import write_json
from .data import Sample
from .decision import Judgements
from .edge import ImageError, Runtime
from .kinds import find_kind
from .tasks import Trained, is_trained, read_trained

TESTS = "tests.json"


def find_run(bundle: Path, adapter: str | None) -> Trained | None:
    """Return the trained file of the run that a bundle lies in, or None where it lies elsewhere.

    Args:
        bundle: The bundle's folder.
        adapter: SHA-256 of the trained file that it was exported from.

    Raises:
        ValueError: The run holds another trained file.
    """
    if not is_trained(bundle.parent):
        return None
    trained = read_trained(bundle.parent)
    if adapter is not None and adapter != trained.sha256:
        raise ValueError(f"{bundle} was exported from another file than {trained.path}: export it again")
    return trained


def judge_pictures(runtime: Runtime, samples: Sequence[Sample]) -> Judgements:
    """Return what a bundle says of images, one by one as on the camera, and what is true.

    Raises:
        ValueError: It gives no finite numbers for one, or one cannot be read.
    """
    has_classes, outputs = find_kind(runtime.task.kind).has_classes, []
    for sample in samples:
        logits, probabilities, decided = runtime.run([runtime.load(sample.path)])
        if not np.isfinite(logits).all():
            raise ImageError(f"{sample.path}: the network gives no finite numbers for it, look at it or leave it out")
        outputs.append(probabilities[0] if has_classes else decided.reshape(-1)[0])
    truths = [sample.label if sample.labels is None else sample.labels for sample in samples]
    values = [truth if sample.value is None else sample.value for truth, sample in zip(truths, samples, strict=True)]
    grouped = any(sample.group is not None for sample in samples)
    # An image without a group, beside others that have one, is a draw of its own.
    groups = [f"group {each.group}" if each.group is not None else f"image {each.path}" for each in samples]
    return Judgements(np.array(outputs), values, groups if grouped else None)


def count_test(folder: Path | None, fingerprint: str, split: str) -> int:
    """Note that images certify once more, and return how often they have, this time included.

    Args:
        folder: The run folder, which keeps the count; None counts this time alone.
        fingerprint: Of the data.
        split: Which of its images.
    """
    if folder is None:
        return 1
    path = folder / TESTS
    try:
        counts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        count = int(counts.get(fingerprint, {}).get(split, 0)) + 1
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): bring it back, or remove it") from error
    write_json(path, {**counts, fingerprint: {**counts.get(fingerprint, {}), split: count}})
    return count
