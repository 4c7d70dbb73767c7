"""LoRA for the weights of vision backbones: inject, merge, remove, and the adapter file."""

from src.lora.adapter_file import AdapterError, AdapterHeader, load_adapter, read_adapter, save_adapter
from src.lora.inject import Injection, Layer, LoraSettings, adapters, inject, injection_of, merge, remove

__all__ = [
    "AdapterError",
    "AdapterHeader",
    "Injection",
    "Layer",
    "LoraSettings",
    "adapters",
    "inject",
    "injection_of",
    "load_adapter",
    "merge",
    "read_adapter",
    "remove",
    "save_adapter",
]
