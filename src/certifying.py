"""What certifying needs of a run: whether a bundle is of it, what the file says of images, how often they were used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from filelock import FileLock

from .atomic import write_json
from .data import ImageData, Sample
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


def judge_pictures(runtime: Runtime, data: ImageData, split: str) -> tuple[Judgements, int]:
    """Return what a bundle says of the images of a split, one by one as on the camera, and what is true.

    Where images have groups, a group is one draw, and copies are of one group. Else every image is one, and copies of
    an image, or pictures that look the same, are no further draws: the first of them counts.

    Returns:
        The judgements, and how many copies have none.

    Raises:
        ValueError: It gives no finite numbers for one, or one cannot be read.
    """
    samples, units = data.samples(split), data.units()
    numbers = [units[position] for position in data.positions(split)]
    grouped = any(sample.group is not None for sample in samples)
    first = {number: place for place, number in reversed(list(enumerate(numbers)))}
    counted = list(range(len(samples))) if grouped else sorted(first.values())
    judged = _judge(runtime, [samples[place] for place in counted], numbers if grouped else None)
    return judged, len(samples) - len(counted)


def _judge(runtime: Runtime, samples: list[Sample], units: list[int] | None) -> Judgements:
    has_classes, outputs = find_kind(runtime.task.kind).has_classes, []
    for sample in samples:
        logits, probabilities, decided = runtime.run([runtime.load(sample.path)])
        if not np.isfinite(logits).all():
            raise ImageError(f"{sample.path}: the network gives no finite numbers for it, look at it or leave it out")
        outputs.append(probabilities[0] if has_classes else decided.reshape(-1)[0])
    truths = [sample.label if sample.labels is None else sample.labels for sample in samples]
    values = [truth if sample.value is None else sample.value for truth, sample in zip(truths, samples, strict=True)]
    return Judgements(np.array(outputs), values, None if units is None else [f"unit {number}" for number in units])


def count_test(folder: Path | None, fingerprint: str, split: str) -> int | None:
    """Note that images certify once more, and return how often they have in this run, this time included.

    Args:
        folder: The run folder, which keeps the count; without one nobody knows, and None is returned.
        fingerprint: Of the data.
        split: Which of its images.
    """
    if folder is None:
        return None
    path = folder / TESTS
    with FileLock(folder / f".{TESTS}.lock"):
        try:
            counts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            count = int(counts.get(fingerprint, {}).get(split, 0)) + 1
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged ({error}): bring it back, or remove it") from error
        write_json(path, {**counts, fingerprint: {**counts.get(fingerprint, {}), split: count}})
    return count
