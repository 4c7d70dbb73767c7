"""The fingerprint of a base model: adapters belong to exactly one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .structure import Structure, structure_of
from .targets import classifiers


@dataclass(frozen=True)
class Fingerprint:
    """What tells one base from another.

    Attributes:
        values: SHA-256 over names, dtypes, shapes and bytes of the state dict, classifiers left out.
        dtypes: Precisions of its values.
        structure: How it is built, or None where a file is older than that.
    """

    values: str
    dtypes: tuple[str, ...] = ()
    structure: Structure | None = field(default=None, repr=False)

    @property
    def hash(self) -> str:
        """One SHA-256 over all of it."""
        if self.structure is None:
            return self.values
        return hashlib.sha256(f"{self.values} {json.dumps(self.structure, sort_keys=True)}".encode()).hexdigest()


def base_hash(model: nn.Module) -> str:
    """Return one SHA-256 over the values of `model` and how it is built, its classifiers left out."""
    return fingerprint(model).hash


def fingerprint(model: nn.Module) -> Fingerprint:
    """Return the fingerprint of a plain `model`; what `src.lora.structure` does not see, it does not cover.

    The same in every process, on every machine, for every copy, and after `prepare` and `remove`. Libraries may name
    their settings otherwise from version to version, and then the hashes differ: `difference` tells what does.

    Raises:
        ValueError: The model has no values yet.
    """
    heads = {id(value) for head in classifiers(model) for value in (*head.parameters(), *head.buffers())}
    digest, dtypes = hashlib.sha256(), set()
    for name, value in sorted(model.state_dict(keep_vars=True).items()):
        if isinstance(value, Tensor) and id(value) not in heads:  # a module may keep other state of its own
            if value.is_meta:
                raise ValueError(f"{name} has no values yet, it is on the meta device: load the weights, then adapt")
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
            if value.is_floating_point():
                dtypes.add(str(value.dtype).removeprefix("torch."))
    return Fingerprint(digest.hexdigest(), tuple(sorted(dtypes)), structure_of(model))
