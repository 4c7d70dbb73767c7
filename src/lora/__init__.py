"""LoRA for the weights of vision backbones: inject, merge, remove, and the adapter file."""

from src.lora.adapter_file import load_adapter, read_adapter, save_adapter
from src.lora.eva import eva
from src.lora.given import Inputs, give, inputs_of
from src.lora.groups import apply_ratios, parameter_groups
from src.lora.header import AdapterError, AdapterHeader
from src.lora.inject import Injection, Layer, adapters, inject, injection_of
from src.lora.merge import merge, remove
from src.lora.peft_load import load_peft
from src.lora.peft_save import save_peft
from src.lora.products import adding_is_cheaper
from src.lora.settings import LoraSettings
from src.lora.shelf import Shelf

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
]
