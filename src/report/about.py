"""Description of a run for the report: everything but metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Layer(Protocol):
    """One adapted weight, as `src.lora.inject` lists it."""

    @property
    def name(self) -> str:
        """Name of the weight in the backbone."""

    @property
    def kind(self) -> str:
        """`low-rank` or `dense`."""

    @property
    def parameters(self) -> int:
        """Number of values that are trained."""


@dataclass(frozen=True)
class About:
    """What was trained on what, with which tools, under which licences.

    Attributes:
        experiment: Name of the experiment, the title of the page.
        backbone: Name of the timm model.
        weights: Where the backbone's weights came from.
        weights_licence: Licence of these weights.
        data: Name of the data.
        data_licence: Licence of the data.
        fingerprint: Hash of the data and its splits.
        counts: Number of images by split, then by class.
        classes: Class names in the order of the logits.
        positive: The class that counts as the defect, or None.
        method: How the backbone was adapted, one short line each.
        layers: The adapted weights; empty when there is no adapter.
        versions: Version of each tool by name.
        date: When the run started.
        left_out: One line for each image that was left out, with the reason.
        command: The command line, ready to paste.
        kind: Name of the kind of task.
        bit_depth: What white is in grey images, as in `ImageSpec`.
        views: Flips and quarter turns whose logits are averaged, a forward pass each.
        config: The settings of the training, as YAML.
    """

    experiment: str
    backbone: str
    weights: str
    weights_licence: str
    data: str
    data_licence: str
    fingerprint: str
    counts: Mapping[str, Mapping[str, int]]
    classes: tuple[str, ...]
    positive: str | None
    method: tuple[str, ...]
    layers: Sequence[Layer]
    versions: Mapping[str, str]
    date: str
    left_out: tuple[str, ...]
    command: str
    kind: str
    bit_depth: int = 16
    views: tuple[str, ...] = ("identity",)
    config: str = ""
