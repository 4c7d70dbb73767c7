"""The fingerprint of a base model, to which its adapters belong: the hash of its values, and how it is built.

A state dict says nothing of strides, paddings, activations or windows: networks with different outputs may share one.
So the class of every module counts too, and the settings that its forward reads from plain attributes, where most
modules of torch, timm and transformers keep them.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import numbers
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from .targets import classifiers

Structure = dict[str, dict[str, Any]]  # by name of the module: its settings by attribute

# These do not change the outputs of a trained network, or follow the size of its input.
UNREAD = frozenset(
    """
    training inplace momentum track_running_stats num_classes num_labels name verbose debug fused_attn use_checkpoint
    device grad_checkpointing gradient_checkpointing H W seq_length img_size image_size input_size grid_size num_patches
    feat_size feature_size resolution input_resolution output_resolution num_windows tokens_spatial_shape
    """.split()
)
UNREAD_PARTS = ("drop", "init")  # in names of what only training reads
LONGEST, DEEPEST = 64, 8  # longer or deeper lists are state, no setting


@dataclass(frozen=True)
class Fingerprint:
    """What identifies a base.

    Attributes:
        values: SHA-256 over names, dtypes, shapes and bytes of the state dict, classifiers left out.
        dtypes: Precisions of its values.
        structure: How it is built; None in files of format 1.
    """

    values: str
    dtypes: tuple[str, ...] = ()
    structure: Structure | None = field(default=None, repr=False)

    @property
    def hash(self) -> str:
        """One SHA-256 over values and structure."""
        if self.structure is None:
            return self.values
        return hashlib.sha256(f"{self.values} {json.dumps(self.structure, sort_keys=True)}".encode()).hexdigest()


def base_hash(model: nn.Module) -> str:
    """Return one SHA-256 over the values of `model` and how it is built, its classifiers left out."""
    return fingerprint(model).hash


def fingerprint(model: nn.Module) -> Fingerprint:
    """Return the fingerprint of a plain `model`; what `structure_of` does not see, it does not cover.

    It is the same in every process, on every machine, for every copy, and after `prepare` and `remove`. Libraries may
    rename settings between versions, and then the hashes differ: `difference` compares what both have.

    Raises:
        ValueError: The model has no values yet.
    """
    heads = {id(value) for head in classifiers(model) for value in (*head.parameters(), *head.buffers())}
    digest, dtypes = hashlib.sha256(), set()
    # Sorted, as the order of modules is no property of the values; with `keep_vars`, as the heads
    # are known by the identity of their tensors.
    for name, value in sorted(model.state_dict(keep_vars=True).items()):
        if isinstance(value, Tensor) and id(value) not in heads:  # extra state may be anything
            if value.is_meta:
                raise ValueError(f"{name} has no values yet, it is on the meta device: load the weights, then adapt")
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            # As bytes: numpy has no bfloat16.
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
            if value.is_floating_point():
                dtypes.add(str(value.dtype).removeprefix("torch."))
    return Fingerprint(digest.hexdigest(), tuple(sorted(dtypes)), structure_of(model))


def structure_of(model: nn.Module) -> Structure:
    """Return the settings of every module of `model` but its heads, ready for JSON.

    Not covered: constants in the code of a forward, tensors outside the state dict, objects of other classes, paths,
    private attributes, and what only training reads (dropouts and their rates). A counter in a public attribute counts
    as a setting.
    """
    heads = {id(module) for head in classifiers(model) for module in head.modules()}
    return {
        name: {"class": type(module).__name__, **_settings(module)}
        for name, module in model.named_modules()
        if id(module) not in heads and not _does_nothing(module)
    }


def difference(there: Structure, here: Structure) -> str | None:
    """Return the first difference of two structures in words, or None.

    Attributes that one of them lacks do not count: libraries add some between versions.
    """
    for name in sorted(there.keys() | here.keys()):
        if name not in there or name not in here:
            return f"{name or 'the model'} is only in {'this model' if name in here else 'that base'}"
        for key in sorted(there[name].keys() & here[name].keys()):
            if there[name][key] != here[name][key]:
                return f"{name or 'the model'} has {key} {there[name][key]} there and {here[name][key]} here"
    return None


def _does_nothing(module: nn.Module) -> bool:
    """Return whether a module returns its input in eval mode."""
    return isinstance(module, nn.Identity) or "drop" in type(module).__name__.lower()


def _settings(module: nn.Module) -> dict[str, Any]:
    plain = ((key, _plain(value)) for key, value in module.__dict__.items() if _counts(key))
    return {key: value for key, value in plain if value is not NotImplemented}


def _counts(key: str) -> bool:
    return not key.startswith("_") and key not in UNREAD and not any(part in key for part in UNREAD_PARTS)


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a setting as a JSON value, or NotImplemented for other values."""
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return NotImplemented if "/" in value or "\\" in value else value  # paths differ by machine
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, (list, tuple)) and len(value) <= LONGEST and depth < DEEPEST:
        each = [_plain(part, depth + 1) for part in value]
        return NotImplemented if any(part is NotImplemented for part in each) else each
    if isinstance(value, functools.partial):
        return _plain([value.func, *value.args, *(part for item in sorted(value.keywords.items()) for part in item)])
    if callable(value) and hasattr(value, "__qualname__"):
        return value.__qualname__.rpartition(".")[2]
    return NotImplemented
