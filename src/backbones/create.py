"""Create a timm backbone: the network with its weights, and the ImageSpec that its weights were trained for."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import timm
import torch
from timm.data.config import resolve_data_config
from timm.models import get_pretrained_cfg, is_model, split_model_name_tag
from torch import nn

from ..atomic import is_unwritable
from ..draws import Draws
from ..near import near_names
from ..spec import CROP_MODES, INTERPOLATIONS, ImageSpec
from .weights import find_weights, origin, out_of_reach, quick_when_offline

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backbone:
    """A network and its weights, as an adapter file records its base.

    Attributes:
        name: Any timm model name, with or without a pretrained tag.
        weights: `auto` (an installed package, then the hub), `none` (random), or a path.
        licence: Licence of the weights, for the report.
        seed: Seed of random weights and of a new head.
        in_chans: Input channels: 3 (grey pictures are repeated), or 1 for grey cameras, where timm sums the first
            layer's weights over the colours.
    """

    name: str
    weights: str = "auto"
    licence: str = "see the model's page"
    seed: int = 0
    in_chans: int = 3

    @property
    def origin(self) -> str:
        """Where the weights come from, in words."""
        return origin(self.name, self.weights)

    @property
    def known_licence(self) -> str:
        """The licence; None if it is that of other weights, as where a config sets it and `name` was overridden."""
        another = "(timm/" in self.licence and f"(timm/{self.name})" not in self.licence
        return "see the model's page" if another else self.licence

    def image_spec(self) -> ImageSpec:
        """Return the ImageSpec that the weights were trained with."""
        return image_spec(self.name, self.in_chans)

    def create(self, num_classes: int, size: tuple[int, int] | None = None) -> nn.Module:
        """Build the network with a new head of `num_classes`, for pictures of `size` (height, width)."""
        return create_backbone(self.name, self.weights, num_classes, size, self.seed, self.in_chans)[0]


def create_backbone(
    name: str,
    weights: str = "auto",
    num_classes: int = 1000,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    in_chans: int = 3,
) -> tuple[nn.Module, ImageSpec]:
    """Create a timm model in eval mode, and return it with its ImageSpec.

    Args:
        name: Any timm model name, with or without a pretrained tag.
        weights: `auto` (an installed package that ships them, then the hub), `none` (random, under `seed`), or the
            path of a `.safetensors` or `.pth` file.
        num_classes: Outputs of the new head.
        size: Height and width in pixels; None for those of the weights.
        seed: Decides random weights and the new head; the global random state is left alone.
        in_chans: 3, or 1 for a grey input.

    Returns:
        The network and its ImageSpec.

    Raises:
        ValueError: Unknown name, weights that cannot be had, or a size that the network cannot take.
    """
    spec = image_spec(name, in_chans)
    if size is not None:
        spec = replace(spec, size=size)
    with Draws(seed):
        model = _build(name, num_classes, spec.size, in_chans, *_options(name, weights))
    if getattr(model, "num_classes", num_classes) != num_classes:
        raise ValueError(f"{name} has no head and takes none for {num_classes} classes: choose another backbone.name")
    _check_patches(model, name, spec.size)
    if size is not None:
        _check_cells(model, name, size)
    model.__dict__["pretrained_cfg"] = {**_config(name), "input_size": (in_chans, *spec.size)}
    return model.eval(), spec


def image_spec(name: str, in_chans: int = 3) -> ImageSpec:
    """Return the ImageSpec of a timm model, from its pretrained config; for grey the mean over the colours.

    Raises:
        ValueError: Unknown name, or channels that are neither 3 nor 1.
    """
    if in_chans not in (1, 3):
        raise ValueError(f"backbone.in_chans={in_chans} must be 3 (colour, or grey repeated) or 1 (grey)")
    config = resolve_data_config(pretrained_cfg=_config(name))  # type: ignore[no-untyped-call]
    interpolation = config["interpolation"] if config["interpolation"] in INTERPOLATIONS else "bilinear"
    crop_mode = config["crop_mode"] if config["crop_mode"] in CROP_MODES else "center"
    height, width = config["input_size"][1:]
    mean, std = (
        tuple(values) if in_chans == 3 else (sum(values) / len(values),) for values in (config["mean"], config["std"])
    )
    crop = min(config["crop_pct"], 1.0)  # above 1 timm would pad (VOLO at 448 and 512)
    return ImageSpec((height, width), mean, std, interpolation, crop, crop_mode)


@cache
def _say(message: str) -> None:
    """Log a message once: a command may build one network several times."""
    log.info(message)


def _options(name: str, weights: str) -> tuple[bool, dict[str, Any]]:
    """Return timm's `pretrained` and `pretrained_cfg_overlay` for a choice of weights."""
    _say(f"weights of {name}: {origin(name, weights)}")
    if weights == "none":
        return False, {}
    state = find_weights(name, weights)
    return True, {} if state is None else {"state_dict": state, "custom_load": False}


def _build(
    name: str, num_classes: int, size: tuple[int, int], in_chans: int, pretrained: bool, overlay: dict[str, Any]
) -> nn.Module:
    options = {
        "pretrained": pretrained,
        "pretrained_cfg_overlay": overlay,
        "num_classes": num_classes,
        "in_chans": in_chans,
    }
    sized = options if tuple(_config(name)["input_size"][1:]) == size else {**options, "img_size": size}
    try:
        with quick_when_offline():
            return _create(name, sized, options)
    except Exception as error:  # any kind: timm's networks check few of their arguments
        if is_unwritable(error):
            raise ValueError(
                f"the weights of {name} cannot be kept ({error}): make room, or set HF_HOME to another folder"
            ) from error
        why = _unbuildable(name, sized, options) if pretrained else error
        if why is None and not overlay:
            raise out_of_reach(name, error) from error
        if why is None:
            raise ValueError(f"the weights do not fit {name}: {str(error)[:200]}") from error
        said = f"{type(why).__name__}: {' '.join(str(why).split())[:200]}"
        if "img_size" in sized:
            raise ValueError(
                f"{name} cannot take pictures of {size[0]} x {size[1]} pixels ({said}); "
                f"its own size is {' x '.join(map(str, _config(name)['input_size'][1:]))}: data.image_size"
            ) from error
        raise ValueError(f"timm {timm.__version__} cannot build {name} ({said})") from error


def _unbuildable(name: str, sized: dict[str, Any], options: dict[str, Any]) -> Exception | None:
    """Return what timm raises when it builds the network without weights on the meta device, or None."""
    bare = {"pretrained": False, "pretrained_cfg_overlay": {}}
    try:
        with torch.device("meta"):
            _create(name, sized | bare, options | bare)
    except Exception as error:
        return error
    return None


def _check_patches(model: nn.Module, name: str, size: tuple[int, int]) -> None:
    """Refuse a size that is no multiple of the patch size: timm would cut off the right and lower border.

    A patch size of one number (XCiT, EfficientViT) is that of padded convolutions, which read the whole picture.
    """
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    if isinstance(patch, (tuple, list)) and any(side % part for side, part in zip(size, patch, strict=True)):
        raise ValueError(
            f"{name} cannot take pictures of {size[0]} x {size[1]} pixels: its patches are {patch[0]} x {patch[1]}; "
            "choose a multiple with data.image_size"
        )


def _check_cells(model: nn.Module, name: str, size: tuple[int, int]) -> None:
    """Refuse a size below one cell of the last feature map, which would be mostly padding."""
    maps = getattr(model, "feature_info", None)
    cell = max((int(each["reduction"]) for each in maps), default=1) if isinstance(maps, list) else 1
    if min(size) < min(cell, *_config(name)["input_size"][1:]):
        raise ValueError(
            f"{name} cannot take pictures of {size[0]} x {size[1]} pixels: one cell of its last feature map covers "
            f"{cell} x {cell}; choose {cell} or more with data.image_size"
        )


def _create(name: str, sized: dict[str, Any], options: dict[str, Any]) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, **sized)
    except TypeError:  # a conv net has no img_size: it takes any size
        model = timm.create_model(name, **options)
    return model


def _config(name: str) -> dict[str, Any]:
    architecture, tag = split_model_name_tag(name)
    try:
        config = get_pretrained_cfg(name, allow_unregistered=False) if is_model(architecture) else None
    except RuntimeError:  # the architecture has no such tag
        config = None
    if config is None:
        known = timm.list_models() if not tag else timm.list_pretrained(f"{architecture}.*") or timm.list_models()
        found = near_names(name, known, 4, 0.4)
        raise ValueError(f"timm has no backbone {name!r}; near names: {', '.join(found) or 'none'}")
    return dict(config.to_dict())  # type: ignore[no-untyped-call]
