"""LoRA for the weights of vision backbones: inject, merge, remove, and the adapter file."""

from .adapter_file import load_adapter, read_adapter, save_adapter
from .eva import eva
from .given import Inputs, give, inputs_of
from .groups import apply_ratios, parameter_groups
from .header import AdapterError, AdapterHeader
from .inject import Injection, Layer, adapters, inject, injection_of
from .merge import merge, remove
from .once import weights_once
from .peft_load import load_peft
from .peft_save import save_peft
from .products import adding_is_cheaper
from .settings import LoraSettings
from .shelf import Shelf

__all__ = [
    "AdapterError",
    "AdapterHeader",
    "Injection",
    "Inputs",
    "Layer",
    "LoraSettings",
    "Shelf",
    "adapters",
    "adding_is_cheaper",
    "apply_ratios",
    "eva",
    "give",
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
