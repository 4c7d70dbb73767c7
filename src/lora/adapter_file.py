"""Write and read an adapter: everything that differs from the frozen backbone, in one safetensors file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from src.lora.adapters import shapes
from src.lora.hashing import base_hash
from src.lora.inject import Injection, LoraSettings, inject, injection_of, plan, remove
from src.lora.surgery import slot
from src.lora.targets import classifiers

FORMAT = 1


class AdapterError(ValueError):
    """The file is no adapter, or not one for this model."""


@dataclass(frozen=True)
class AdapterHeader:
    """What an adapter file says of itself: LoRA settings, the hash of the base, its folded norms, and metadata."""

    settings: LoraSettings
    base_hash: str
    folded: int
    metadata: dict[str, Any]


def save_adapter(path: str | Path, model: nn.Module, metadata: Mapping[str, Any] | None = None) -> Path:
    """Save the adapters and every parameter that requires a gradient (the head), atomically.

    Args:
        path: The file to write, `.safetensors` by custom; what was there stays until the new one is whole.
        model: A model that `inject` adapted.
        metadata: JSON-ready values to keep with it.

    Raises:
        ValueError: The model has no adapters.
    """
    injection = injection_of(model)
    if injection is None:
        raise ValueError("this model has no adapters to save: call inject first")
    tensors = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters() if p.requires_grad}
    header = {
        "format": FORMAT,
        "lora": injection.settings.to_dict(),
        "base_hash": injection.base_hash,
        "folded": injection.folded,
        "metadata": dict(metadata or {}),
    }
    return write_tensors(path, tensors, {"graft": json.dumps(header, sort_keys=True, allow_nan=False)})


def write_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write a safetensors file beside `path` and rename it, so that no half-written file is ever seen."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(save(tensors, metadata))
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
    return path


def read_adapter(path: str | Path) -> AdapterHeader:
    """Return the header of an adapter file, without its tensors.

    Raises:
        AdapterError: The file is missing, cut short, no safetensors, or no adapter.
    """
    return _read(Path(path))[0]


def load_adapter(path: str | Path, model: nn.Module) -> Injection:
    """Inject with the file's settings into a plain `model` and fill in the file's values.

    Everything is checked first: on an error the model is untouched.

    Raises:
        AdapterError: The file is no adapter, is for another base, or its names, shapes or values do not fit.
    """
    path = Path(path)
    header, tensors = _read(path)
    if injection_of(model) is not None:
        raise AdapterError("this model has adapters already: merge or remove them before loading others")
    if base_hash(model) != header.base_hash:
        raise AdapterError(
            f"{path} was trained on another base (hash {header.base_hash[:12]}, this model {base_hash(model)[:12]}): "
            "create the backbone with the name and weights that the adapter names"
        )
    _check(path, _expected(model, header.settings), tensors)
    settings = header.settings
    injection = inject(model, settings.rank, settings.alpha, settings.targets, settings.fold_norms)
    if injection.folded != header.folded:
        remove(model)
        raise AdapterError(
            f"{path} was trained with {header.folded} batch norms folded, and {injection.folded} fold here: "
            "use the timm version that the adapter names"
        )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(tensors[name])
    return injection


def _expected(model: nn.Module, settings: LoraSettings) -> dict[str, tuple[int, ...]]:
    heads = {id(parameter) for head in classifiers(model) for parameter in head.parameters()}
    expected = {name: tuple(p.shape) for name, p in model.named_parameters() if id(p) in heads}
    for site in plan(model, settings):
        prefix = f"{site.name}.{slot(site.attribute)}" if site.name else slot(site.attribute)
        expected |= {f"{prefix}.{name}": shape for name, shape in shapes(site.weight, settings.rank).items()}
    return expected


def _check(path: Path, expected: dict[str, tuple[int, ...]], tensors: dict[str, Tensor]) -> None:
    missing, surplus = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or surplus:
        raise AdapterError(f"{path} does not fit this model: missing {missing[:3]}, surplus {surplus[:3]}")
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise AdapterError(
                f"{path} does not fit this model: {name} is {tuple(tensors[name].shape)} in the file and {shape} in "
                "the model (another number of classes?)"
            )
        if not tensors[name].isfinite().all():
            raise AdapterError(f"{path} holds NaN or infinity in {name}: the training diverged, or the file is damaged")


def _read(path: Path) -> tuple[AdapterHeader, dict[str, Tensor]]:
    if not path.is_file():
        raise AdapterError(f"no adapter file at {path}: give the file, its run folder, or exports/<experiment>/latest")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("graft")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise AdapterError(
            f"{path} is no safetensors file or is damaged ({error}): pickled files (.pt, .ckpt, .bin) are never loaded"
        ) from error
    if text is None:
        raise AdapterError(f"{path} is a safetensors file, but no Graft adapter")
    return _header(path, text), tensors


def _header(path: Path, text: str) -> AdapterHeader:
    try:
        header = json.loads(text)
        if header["format"] != FORMAT:
            raise AdapterError(f"{path} has format {header['format']}, this Graft reads {FORMAT}: train it again")
        lora = dict(header["lora"])
        targets = lora["targets"]
        lora["targets"] = targets if isinstance(targets, str) else tuple(targets)
        return AdapterHeader(
            LoraSettings(**lora), str(header["base_hash"]), int(header["folded"]), dict(header["metadata"])
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise AdapterError(f"{path} is no Graft adapter that this version can read ({error})") from error
