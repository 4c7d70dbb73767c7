"""LoRA for the weights of vision backbones: inject, merge, remove, and the adapter file."""

from .adapter_file import load_adapter, read_adapter, save_adapter
from .adapter_pool import AdapterPool, Shelf
from .engine.products import adding_is_cheaper
from .eva import eva
from .graph_inputs import Inputs, expose_inputs, inputs_of
from .groups import apply_ratios, parameter_groups
from .header import AdapterError, AdapterHeader
from .inject import Injection, Layer, adapters, inject, injection_of
from .merge import merge, remove
from .once import weights_once
from .peft_load import load_peft
from .peft_save import save_peft
from .settings import LoraSettings

__all__ = [
    "AdapterError",
    "AdapterHeader",
    "AdapterPool",
    "Injection",
    "Inputs",
    "Layer",
    "LoraSettings",
    "Shelf",
    "adapters",
    "adding_is_cheaper",
    "apply_ratios",
    "eva",
    "expose_inputs",
    "inject",
    "injection_of",
    "inputs_of",
    "load_adapter",
    "load_peft",
    "merge",
    "parameter_groups",
    "read_adapter",
    "remove",
    "save_adapter",
    "save_peft",
    "weights_once",
]
