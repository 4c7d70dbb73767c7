"""The LoRA folders of Hugging Face PEFT: `adapter_config.json` and `adapter_model.safetensors`.

The names in the files and what they mean are those of PEFT 0.21 (`peft/utils/save_and_load.py`,
`peft/tuners/lora/layer.py`): A and B of a convolution are convolutions, r x in x kh x kw and out x r x 1 x 1.
"""

from __future__ import annotations

from collections.abc import Iterable

from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from ..near import near_names
from .header import AdapterError

WEIGHTS, PREFIX = "adapter_model.safetensors", "base_model.model."
UPDATABLE = (nn.Linear.forward, nn.Conv2d.forward, Conv2dSame.forward)  # linear in the weight, and called by parents


def refuse_layers(model: nn.Module, names: Iterable[str]) -> None:
    """Refuse layers that PEFT and Graft cannot exchange.

    Raises:
        AdapterError: The model has no layer of that name.
        ValueError: The layer is of another kind; it is named.
    """
    modules = dict(model.named_modules())
    for name in names:
        module = modules.get(name)
        if module is None:
            near = ", ".join(near_names(name, modules, 3, 0.3)) or "none"
            raise AdapterError(
                f"this model has no layer {name}; near names: {near}. Create the backbone that it is for"
            )
        plain = isinstance(module, (nn.Linear, nn.Conv2d)) and type(module).forward in UPDATABLE
        if not plain or (isinstance(module, nn.Conv2d) and (module.groups > 1 or max(module.dilation) > 1)):
            raise ValueError(
                f"PEFT and Graft cannot exchange {name}: only Linear and Conv2d without groups, dilation or a weight "
                "that is changed before use mean the same in both; leave the layer out of the targets"
            )
