"""Restore a trained model from its file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn

from ..absent import no_trained_file
from ..backbones import Backbone
from ..data.naming import nfc
from ..kinds import read_task
from ..lora import AdapterError, load_adapter, read_adapter
from ..lora.adapter_file import ADAPTER, WEIGHTS
from ..spec import ImageSpec, TaskSpec
from .adaptation import Adaptation, Full, Lora
from .build import build
from .setting import Setting
from .views import read_views


@dataclass(frozen=True)
class Trained:
    """The metadata of a trained file, from which the model can be built.

    Attributes:
        path: The file.
        backbone: The base it belongs to.
        adaptation: How it was trained.
        image: The network's input.
        task: What the outputs mean, and the views that are judged and shipped.
        own_views: Those of the training.
        provenance: Where it comes from.
    """

    path: Path
    backbone: Backbone
    adaptation: Adaptation
    image: ImageSpec
    task: TaskSpec
    own_views: tuple[str, ...]
    provenance: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Hash of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def has_other_views(self) -> bool:
        """Whether it is judged and shipped with others than those of its training."""
        return self.task.views != self.own_views

    def with_views(self, wanted: object) -> Trained:
        """Return the file with other views; None stands for those of the training.

        Raises:
            ValueError: As `read_views`.
        """
        views = self.own_views if wanted is None else read_views(wanted, self.image)
        if sorted(views) == sorted(self.own_views):
            views = self.own_views  # in the order of the training, which the graph's bytes follow
        return replace(self, task=replace(self.task, views=views))

    def build(self) -> nn.Module:
        """Return a new backbone filled with what was learnt, adapters unmerged.

        Raises:
            ValueError: The weights of the base cannot be had, or the file is for another base, or damaged.
        """
        model = build(self.backbone, self.image, self.task)
        if isinstance(self.adaptation, Lora):
            load_adapter(self.path, model)
        else:
            _load_weights(self.path, model)
        return model


def metadata(setting: Setting, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a trained file."""
    return {
        "backbone": asdict(setting.backbone),
        "image": setting.image.to_dict(),
        "task": setting.task.to_dict(),
        "provenance": dict(provenance),
    }


def find_trained(path: str | Path) -> Path:
    """Return the trained file that `path` names: itself, or the one in a run folder.

    Raises:
        AdapterError: There is none.
    """
    path = Path(path)
    if path.is_dir():
        for name in (ADAPTER, WEIGHTS):
            if (path / name).is_file():
                return path / name
        raise AdapterError(f"{path} holds no {ADAPTER} or {WEIGHTS}: give the folder of a finished training")
    if not path.is_file():
        raise AdapterError(no_trained_file(path))
    return path


def read_trained(path: str | Path, weights: str | None = None) -> Trained:
    """Read the metadata of a trained file.

    Args:
        path: The file, or the run folder that holds it.
        weights: Where the weights of its base lie now, as `backbone.weights`; None takes them from where they lay.

    Raises:
        AdapterError: It is missing, damaged, or not Graft's.
    """
    path = find_trained(path)
    path = Path(os.path.relpath(os.path.realpath(path.parent))) / path.name  # `latest` may be moved while it is read
    adaptation: Adaptation
    if path.name == WEIGHTS:
        adaptation, kept = Full(), _weights_metadata(path)
    else:
        header = read_adapter(path)
        adaptation, kept = Lora(**vars(header.settings)), header.metadata
    try:
        backbone = Backbone(**kept["backbone"])
        task = _in_one_form(read_task(kept["task"]))
        return Trained(
            path,
            backbone if weights is None else replace(backbone, weights=weights),
            adaptation,
            ImageSpec.from_dict(kept["image"]),
            task,
            task.views,
            dict(kept["provenance"]),
        )
    except (KeyError, TypeError) as error:
        raise AdapterError(
            f"{path} was saved by the library without a training: it names no backbone ({error})"
        ) from error


def _in_one_form(task: TaskSpec) -> TaskSpec:
    """Return the task with names in normal form C, as sources give theirs; older files may have another form."""
    positive = None if task.positive is None else nfc(task.positive)
    return replace(task, classes=tuple(map(nfc, task.classes)), positive=positive)


def _weights_metadata(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            kept: dict[str, Any] = json.loads((file.metadata() or {})["graft"])["metadata"]
    except OSError as error:  # without the file's name
        raise AdapterError(f"{path} cannot be read ({error}): see to its rights, and to the disk it lies on") from error
    except (SafetensorError, KeyError, TypeError, RecursionError, json.JSONDecodeError) as error:
        raise AdapterError(f"{path} is no file of a full fine-tuning by Graft, or is damaged ({error})") from error
    return kept


def _load_weights(path: Path, model: nn.Module) -> None:
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise AdapterError(f"{path} does not fit its backbone: {str(error)[:200]}") from error
