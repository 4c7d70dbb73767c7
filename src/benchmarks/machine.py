"""What a benchmark ran on: figures in seconds mean nothing without it."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16")
_LIBRARIES = ("torch", "timm", "peft", "onnxruntime", "pillow")


def machine() -> dict[str, Any]:
    """Return processor, its vector instructions, threads, load, GPU and versions, as JSON-ready values.

    `load` is the system's average over 1, 5 and 15 minutes: above the number of threads, others were at work.
    """
    fields = _cpuinfo()
    present = fields.get("flags", "").split()
    return {
        "cpu": fields.get("model name") or platform.processor() or platform.machine(),
        "flags": [flag for flag in _FLAGS if flag in present],
        "has_bf16": "avx512_bf16" in present or "amx_bf16" in present,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": [round(average, 2) for average in os.getloadavg()],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        **_versions(),
    }


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
