"""What `adapter_config.json` of Hugging Face PEFT says: which layers, at which ranks and alphas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .header import AdapterError
from .settings import LoraSettings

CONFIG = "adapter_config.json"
PLAIN_INITS = (True, False, None, "gaussian", "eva", "orthogonal")  # the other words mean that W was changed
UNREAD = ("use_dora", "lora_bias", "fan_in_fan_out", "use_qalora", "layer_replication", "target_parameters")


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
    """Return the settings that adapt just `layers`, each with the rank and alpha that the configuration gives it.

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
    """Tell whether PEFT adapts the layer of this name: a string is a pattern for all of it, a list holds endings."""
    if not isinstance(targets, str):
        return any(name == target or name.endswith(f".{target}") for target in targets)
    try:
        return re.fullmatch(targets, name) is not None
    except re.error as error:
        raise AdapterError(f"{folder / CONFIG} has a target_modules that is no pattern ({error})") from error


def _match(patterns: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", name)), None)
