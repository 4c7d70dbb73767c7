"""The LoRA folders of Hugging Face PEFT: `adapter_config.json` and `adapter_model.safetensors`.

Names in the files and their meaning are those of PEFT 0.21 (`peft/utils/save_and_load.py`,
`peft/tuners/lora/layer.py`): A and B of a convolution are convolutions, r x in x kh x kw and out x r x 1 x 1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from ..near import near_names
from .header import AdapterError
from .settings import LoraSettings

WEIGHTS, PREFIX = "adapter_model.safetensors", "base_model.model."
CONFIG = "adapter_config.json"
# Other inits change W, which the folder then does not describe.
PLAIN_INITS = (True, False, None, "gaussian", "eva", "orthogonal")
UNREAD = ("use_dora", "lora_bias", "fan_in_fan_out", "use_qalora", "layer_replication", "target_parameters")
# Forwards that are linear in the weight: there the sum of PEFT equals the adapted weight.
UPDATABLE = (nn.Linear.forward, nn.Conv2d.forward, Conv2dSame.forward)


def refuse_layers(model: nn.Module, names: Iterable[str]) -> None:
    """Refuse layers that PEFT and Graft cannot exchange.

    Raises:
        AdapterError: The model has no layer of that name.
        ValueError: The layer is of another kind; it is named.
    """
    modules = dict(model.named_modules())
    for name in names:
        module = modules.get(name)
        if module is None:
            near = ", ".join(near_names(name, modules, 3, 0.3)) or "none"
            raise AdapterError(
                f"this model has no layer {name}; near names: {near}. Create the backbone that it is for"
            )
        plain = isinstance(module, (nn.Linear, nn.Conv2d)) and type(module).forward in UPDATABLE
        if not plain or (isinstance(module, nn.Conv2d) and (module.groups > 1 or max(module.dilation) > 1)):
            raise ValueError(
                f"PEFT and Graft cannot exchange {name}: only Linear and Conv2d without groups, dilation or a weight "
                "that is changed before use mean the same in both; leave the layer out of the targets"
            )


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a folder.

    Raises:
        AdapterError: It is missing, broken, or asks for what Graft does not read.
    """
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind, unread = config["peft_type"], [option for option in UNREAD if config.get(option)]
        for option in ("modules_to_save", "target_modules"):
            _require_names(option, config.get(option) or [])
        if config.get("bias", "none") != "none":
            unread.append("bias")
        if config.get("init_lora_weights") not in PLAIN_INITS:
            unread.append("init_lora_weights")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AdapterError(f"no {CONFIG} in {folder}: give the folder that PEFT's save_pretrained wrote") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AdapterError(
            f"{folder / CONFIG} is no configuration of PEFT ({error}): save the adapter again"
        ) from error
    if kind != "LORA" or unread:
        why = f"its peft_type is {kind}" if kind != "LORA" else f"it uses {', '.join(unread)}"
        raise AdapterError(f"{folder} is no plain LoRA that Graft can read: {why}; merge it in PEFT instead")
    return config


def _require_names(option: str, names: Any) -> None:
    pattern = option == "target_modules" and isinstance(names, str)
    if not pattern and not (isinstance(names, list) and all(name and isinstance(name, str) for name in names)):
        raise TypeError(f"{option} is {names!r}, no list of names")


def settings_of(folder: Path, config: Mapping[str, Any], layers: Iterable[str]) -> LoraSettings:
    """Return settings that adapt exactly `layers`, each with the rank and alpha of the configuration.

    Raises:
        AdapterError: A value or a pattern is broken.
    """
    names = tuple(layers)
    try:
        ranks, alphas = (
            {n: _match(config.get(key) or {}, n) for n in names} for key in ("rank_pattern", "alpha_pattern")
        )
        return LoraSettings(
            rank=config.get("r", 8),
            alpha=config.get("lora_alpha", 8),
            targets=names,
            scaling="rslora" if config.get("use_rslora") else "lora",
            ranks={name: rank for name, rank in ranks.items() if rank is not None},
            alphas={name: alpha for name, alpha in alphas.items() if alpha is not None},
        )
    except (AttributeError, TypeError, ValueError, re.error) as error:
        raise AdapterError(f"{folder / CONFIG} cannot be used ({error}): save the adapter again") from error


def is_target(folder: Path, targets: str | Sequence[str], name: str) -> bool:
    """Return whether PEFT adapts the layer called `name`: a string is a regular expression, a list holds suffixes."""
    if not isinstance(targets, str):
        return any(name == target or name.endswith(f".{target}") for target in targets)
    try:
        return re.fullmatch(targets, name) is not None
    except re.error as error:
        raise AdapterError(f"{folder / CONFIG} has a target_modules that is no pattern ({error})") from error


def _match(patterns: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", name)), None)
