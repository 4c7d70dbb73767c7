"""Images that a model was not trained on, as evaluate and certify judge it by them."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from omegaconf import DictConfig

from .data import ImageData
from .data.label_columns import names_of
from .kinds import find_kind
from .near import near
from .spec import ImageSpec, TaskSpec
from .targets import instantiate
from .tasks import Trained, require_learnt, require_unseen

log = logging.getLogger(__name__)

_PIXELS = "images are judged by the pixels of the training"
_SPLITS = "of images that the model was not trained on all are judged, or the test split that they come with"
JUDGED = "test"  # the split that images of a lot are in
IDLE = {  # keys of a data source that only a training makes use of, with the reason
    "data.image_size": _PIXELS,
    "data.crop_pct": _PIXELS,
    "data.crop_mode": _PIXELS,
    "data.bit_depth": _PIXELS,
    "data.positive": "the defect is that of the training",
    "data.classes": "the classes are those of the training",
    "data.soft_labels": "figures count the class",
    "data.allow": "the data gate looks at images to train on",
    "data.balanced": "images to judge are taken once each",
    "data.seed": "nothing is drawn",
    "seed": "nothing is drawn",
    "data.folds": _SPLITS,
    "data.fold": _SPLITS,
    "data.split_file": _SPLITS,
    "data.val_fraction": _SPLITS,
    "data.test_fraction": _SPLITS,
    "data.calibration_fraction": _SPLITS,
}


def other_data(trained: Trained, settings: DictConfig, certifies: bool = False) -> tuple[ImageData, bool]:
    """Return images that the file was not trained on, as `read_lot`, and whether that could be told of each.

    Args:
        trained: The file.
        settings: The source.
        certifies: Whether a promise is to come of them; then those that were validated on are refused too.

    Raises:
        ValueError: They have other classes, or some were trained on.
    """
    data = read_lot(settings, trained.image, trained.task, str(trained.path))
    if data.fingerprint == trained.provenance.get("data", {}).get("fingerprint"):
        raise ValueError(
            f"{data.index.name} is what {trained.path} was trained on: to judge by its test split leave out the choice "
            "data=, and say by data.root=DIR (data.table=, data.path=) alone where it lies now"
        )
    told = require_unseen(trained, data, JUDGED if certifies else None)
    if not told:
        log.warning("no data.json beside %s notes what it used: images of its training go unnoticed", trained.path)
    return data, told


def read_lot(settings: DictConfig, image: ImageSpec, task: TaskSpec, model: str) -> ImageData:
    """Return images to judge a finished model by: their test split if they have one, else all of them.

    They need not be such as could be trained on: one class, one value, one image are enough.

    Args:
        settings: The source.
        image: The pixels that the model takes.
        task: What it learnt.
        model: The file, for messages.

    Raises:
        ValueError: They have other classes.
    """
    # The pixels that the model was trained on.
    as_trained = {"image_size": None, "crop_pct": None, "crop_mode": None, "bit_depth": None}
    data: ImageData = instantiate(settings, **as_trained)(image=image)
    data.setup(JUDGED)
    require_learnt(task.kind, data, trained=model)
    if find_kind(task.kind).has_classes:
        found = dict.fromkeys(label for sample in data.samples(JUDGED) for label in names_of(sample))
        if unknown := [label for label in found if label not in task.classes]:
            raise ValueError(
                f"{data.index.name} has the class {unknown[0]!r}{near(unknown[0], task.classes)}, and {model} was "
                f"trained on {', '.join(task.classes)}: rename it or leave its images out"
            )
        log.info("judged by %s", f"{task.positive} as the defect" if task.positive else "the classes of the training")
    data.classes = task.classes  # in the order of the logits; a lot need not have every class
    return data


def require_heeded(overrides: Iterable[str]) -> None:
    """Refuse overrides of other images that change nothing when they are judged.

    Raises:
        ValueError: There is one.
    """
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key in IDLE or key.startswith("data.augment"):
            why = IDLE.get(key, "images to judge are not augmented")
            raise ValueError(f"{key} does not act here, {why}: leave it out")
