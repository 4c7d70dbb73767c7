"""What a trained file decides about its own images: evaluate reports it, and export compares by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf
from torch import nn

from .data import ImageData
from .data.relocation import LOADING, PLACES, location_words, relocate
from .data.trusted import require_trusted
from .report import Predictions, describe_views, tabulate
from .targets import instantiate
from .tasks import Trained, predict_logits, require_own_cut, require_own_images
from .typed import require_types


def judge(trained: Trained, model: nn.Module, data: ImageData, splits: Sequence[str]) -> Predictions:
    """Return what a file decides about the images of some splits, a row each.

    Args:
        trained: The file.
        model: What it builds.
        data: The images.
        splits: Names of those to judge.
    """
    logits = predict_logits(model, data, splits, trained.image, trained.task)
    return tabulate(logits, {split: data.samples(split) for split in logits}, trained.task)


def compare_views(trained: Trained, model: nn.Module, data: ImageData, chosen: Predictions) -> str:
    """Return in one line what other views than those of the training cost or gain.

    Args:
        trained: The file, with the other views.
        model: What it builds.
        data: The images.
        chosen: What it decides about them; the first split is compared.
    """
    split = chosen.splits[0]
    own = judge(trained.with_views(None), model, data, [split])
    passes = (len(trained.own_views), len(trained.task.views))
    return describe_views(own, chosen.of(split), trained.task.positive, passes)


def own_data(trained: Trained, anew: Mapping[str, Any] | None = None, judging: bool = False) -> ImageData:
    """Return the data that a file was trained on, split as it was then.

    Args:
        trained: The file.
        anew: Where the data lie now and how they are loaded, by key; None where all is as it was.
        judging: Whether figures are to come of it.

    Raises:
        ValueError: The file names no data, the images are gone or are others, or as `require_own_cut`.
    """
    settings = trained.provenance.get("config", {}).get("data")
    if not isinstance(settings, dict):
        raise ValueError(
            f"{trained.path} does not say what it was trained on: name images with data=folder data.root=DIR"
        )
    require_trusted(settings)
    wanted = OmegaConf.create({"data": relocate(settings, anew or {}, (*PLACES, *LOADING))})
    require_types(wanted)
    data: ImageData = instantiate(wanted.data)(image=trained.image)
    if named := location_words(anew or {}):
        require_own_images(trained, data, named)
    data.setup("fit")
    require_own_cut(trained, data, judging)
    return data
