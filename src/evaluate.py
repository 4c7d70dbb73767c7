"""Evaluate: `python -m src.evaluate adapter=PATH` judges a trained file, on its own data or on other images."""

from __future__ import annotations

import logging
from datetime import datetime

from omegaconf import DictConfig, OmegaConf

from src.command import requires, run

with requires("train"):
    from hydra.utils import instantiate
    from rich.console import Console

    from src.data import ImageData
    from src.data.trusted import require_trusted
    from src.report import print_figures, record, tabulate
    from src.tasks import Trained, predict_logits, read_trained, require_learnt, require_own_cut, require_unseen
    from src.typed import require_types

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Build the model from its file, judge it, and write the figures beside the run."""
    require_types(config)
    trained = read_trained(config.adapter)
    data = own_data(trained, judging=True) if config.get("data") is None else other_data(trained, config.data)
    model = trained.build()
    splits = [split for split in ("val", "test") if data.samples(split)]
    logits = {split: predict_logits(model, data.loader(split), trained.image, trained.task) for split in splits}
    predictions = tabulate(logits, {split: data.samples(split) for split in splits}, trained.task)
    folder = trained.path.parent / "evaluations" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    costs = {"adapter_bytes": trained.path.stat().st_size, "data": data.listing.name, "fingerprint": data.fingerprint}
    print_figures(Console(), folder, record(folder, predictions, trained.task.positive, costs))


def own_data(trained: Trained, judging: bool = False) -> ImageData:
    """Return the data that a file was trained on, split as it was then.

    Args:
        trained: The file.
        judging: Whether figures are to come of it.

    Raises:
        ValueError: The file names no data, the images are gone, or as `require_own_cut`.
    """
    settings = trained.provenance.get("config", {}).get("data")
    if not isinstance(settings, dict):
        raise ValueError(
            f"{trained.path} does not say what it was trained on: name images with data=folder data.root=DIR"
        )
    require_trusted(settings)
    data: ImageData = instantiate(OmegaConf.create(settings))(image=trained.image)
    data.setup("fit")
    require_own_cut(trained, data, judging)
    return data


def other_data(trained: Trained, settings: DictConfig) -> ImageData:
    """Return images that the file was not trained on: their test split if they have one, else all of them.

    Raises:
        ValueError: They have other classes, or some were trained on.
    """
    # The pixels that the model was trained on.
    as_trained = {"image_size": None, "crop_pct": None, "crop_mode": None, "bit_depth": None}
    data: ImageData = instantiate(settings, **as_trained)(image=trained.image)
    data.setup("test")
    if data.fingerprint == trained.provenance.get("data", {}).get("fingerprint"):
        raise ValueError(
            f"{data.listing.name} is what {trained.path} was trained on: leave out data= to use its test split"
        )
    require_learnt(trained.task.kind, data)
    if not set(data.classes) <= set(trained.task.classes):
        raise ValueError(
            f"{data.listing.name} has the classes {', '.join(data.classes)}, and {trained.path} was trained on "
            f"{', '.join(trained.task.classes)}: rename or add classes"
        )
    data.classes = trained.task.classes  # in the order of the logits; a lot need not have every class
    if not require_unseen(trained, data):
        log.warning("no data.json beside %s: images that it was trained on would be judged unawares", trained.path)
    return data


if __name__ == "__main__":
    run(main, "evaluate")
