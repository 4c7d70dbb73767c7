"""What autocast does on the device of a tensor; some devices, such as meta, have none."""

from __future__ import annotations

import torch
from torch import Tensor


def autocast_dtype(like: Tensor) -> torch.dtype | None:
    """Return what autocast casts to on the device of `like`, None where it is off."""
    device = like.device.type
    on = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if on else None
