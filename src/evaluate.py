"""Evaluate: `python -m src.evaluate adapter=PATH` judges a trained file, on its own data or on other images."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from .command import requires, run

if __name__ == "__main__":
    run("evaluate", needs="torch")

with requires("train"):
    from rich.console import Console

    from .atomic import new_folder, nothing_left
    from .data import ImageData
    from .data.label_columns import names_of
    from .evaluation import compare_views, judge, own_data
    from .kinds import find_kind
    from .near import near
    from .report import print_figures, record
    from .targets import instantiate
    from .tasks import Trained, read_trained, require_learnt, require_unseen
    from .typed import given

log = logging.getLogger(__name__)

_PIXELS = "images are judged by the pixels of the training"
_SPLITS = "of images that the model was not trained on all are judged, or the test split that they come with"
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


def main(config: DictConfig) -> None:
    """Build the model from its file, judge it, and write the figures beside the run."""
    trained = read_trained(config.adapter, given(config.backbone).get("weights")).with_views(config.views)
    own = "_target_" not in (config.get("data") or {})
    if own:
        data = own_data(trained, given(config.get("data")), judging=True)
    else:
        require_heeded(HydraConfig.get().overrides.task)
        data = other_data(trained, config.data)
    model = trained.build()
    splits = [split for split in ("val", "test") if data.samples(split)]
    predictions = judge(trained, model, data, splits)
    folder = new_folder(trained.path.parent / "evaluations" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    costs = {"adapter_bytes": trained.path.stat().st_size, "data": data.index.name, "fingerprint": data.fingerprint}
    views = {"views": trained.task.views} if trained.has_other_views else {}
    with nothing_left(folder):
        figures = record(folder, predictions, trained.task.positive, costs | views)
    print_figures(Console(), folder, figures)
    if trained.has_other_views:
        print(compare_views(trained, model, data, predictions))


def other_data(trained: Trained, settings: DictConfig) -> ImageData:
    """Return images that the file was not trained on: their test split if they have one, else all of them.

    They need not be such as could be trained on: one class, one value, one image are enough.

    Raises:
        ValueError: They have other classes, or some were trained on.
    """
    # The pixels that the model was trained on.
    as_trained = {"image_size": None, "crop_pct": None, "crop_mode": None, "bit_depth": None}
    data: ImageData = instantiate(settings, **as_trained)(image=trained.image)
    data.setup("test")
    name, task = data.index.name, trained.task
    if data.fingerprint == trained.provenance.get("data", {}).get("fingerprint"):
        raise ValueError(
            f"{name} is what {trained.path} was trained on: to judge by its test split leave out the choice data=, and "
            "say by data.root=DIR (data.table=, data.path=) alone where it lies now"
        )
    require_learnt(task.kind, data, trained=str(trained.path))
    if find_kind(task.kind).has_classes:
        found = dict.fromkeys(label for sample in data.samples("test") for label in names_of(sample))
        if unknown := [label for label in found if label not in task.classes]:
            raise ValueError(
                f"{name} has the class {unknown[0]!r}{near(unknown[0], task.classes)}, and {trained.path} was trained "
                f"on {', '.join(task.classes)}: rename it or leave its images out"
            )
        log.info("judged by %s", f"{task.positive} as the defect" if task.positive else "the classes of the training")
    data.classes = task.classes  # in the order of the logits; a lot need not have every class
    if not require_unseen(trained, data):
        log.warning("no data.json beside %s: images that it was trained on would be judged unawares", trained.path)
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
