"""The fingerprint of a base model: adapters belong to exactly one."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from src.lora.targets import classifiers


def base_hash(model: nn.Module) -> str:
    """Return the SHA-256 over the names, dtypes, shapes and bytes of `model`'s state, its classifiers left out."""
    heads = {id(value) for head in classifiers(model) for value in (*head.parameters(), *head.buffers())}
    digest = hashlib.sha256()
    state = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    for name, value in sorted(state, key=lambda item: item[0]):
        if id(value) not in heads:
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
