"""The fingerprint of a base model: adapters belong to exactly one."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from src.lora.targets import classifiers


def base_hash(model: nn.Module) -> str:
    """Return the SHA-256 over names, dtypes, shapes and bytes of `model`'s state dict, its classifiers left out."""
    heads = {id(value) for head in classifiers(model) for value in (*head.parameters(), *head.buffers())}
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict(keep_vars=True).items()):
        if isinstance(value, Tensor) and id(value) not in heads:  # a module may keep other state of its own
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
