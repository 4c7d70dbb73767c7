"""Write the LoRA folders of Hugging Face PEFT."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from ..atomic import write_files
from .adapter_file import folded_names
from .adapters import Dora, LowRank
from .fold import folded_norms
from .inject import adapters, injection_of
from .look import Example, Unseen, look, run
from .peft_format import CONFIG, PREFIX, WEIGHTS, refuse_layers
from .peft_head import names_to_save, saved
from .settings import LoraSettings

log = logging.getLogger(__name__)


def save_peft(folder: str | Path, model: nn.Module, example: Example | None = None) -> Path:
    """Write adapters, head and unfrozen parameters of `model` as a folder that PEFT reads, and return the folder.

    `example` is that of `inject`: one run shows which layers are called at all.

    Raises:
        ValueError: The model has no adapters, or one that PEFT cannot hold (dense, DoRA, a blend), or on a layer that
            is no plain Linear or ungrouped, undilated Conv2d, or that is never called; the layer is named.
    """
    folder = Path(folder)
    injection = injection_of(model)
    if injection is None or not injection.layers:
        raise ValueError("this model has no adapters to save: call inject with targets first")
    pairs = _low_rank(model)
    refuse_layers(model, pairs)
    names = names_to_save(model, pairs)
    _refuse_uncalled(model, pairs, example)
    whole, folded = saved(model, names), folded_norms(model)
    changed = sorted(folded_names(model).intersection(whole))
    if changed:
        raise ValueError(f"PEFT would save {changed[0]}, which is folded here: inject with fold_norms=False for that")
    tensors = {f"{PREFIX}{name}": value for name, value in whole.items()}
    for name, adapter in pairs.items():
        b, a = adapter.change()
        module = model.get_submodule(name)
        if id(module) in folded:
            fold = folded[id(module)]
            # Unfolded: PEFT adapts the plain convolution, so each row is divided by its factor.
            b = (b * fold.alive[:, None] / fold.rows.where(fold.alive, 1)[:, None]).to(b.dtype)
        shape = module._parameters["weight"].shape  # type: ignore[union-attr]
        tensors[f"{PREFIX}{name}.lora_A.weight"] = a.reshape(len(a), *shape[1:])
        tensors[f"{PREFIX}{name}.lora_B.weight"] = b.reshape(*b.shape, *[1] * len(shape[2:]))
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    config = json.dumps(_described(injection.settings, pairs, names), indent=2)
    write_files(folder, {WEIGHTS: save(plain, {"format": "pt"}), CONFIG: config.encode()})
    return folder


def _low_rank(model: nn.Module) -> dict[str, LowRank]:
    """Return the adapters by layer, and refuse those that a PEFT folder cannot hold."""
    names = {id(module): name for name, module in model.named_modules()}
    found = {}
    for module, attribute, adapter in adapters(model):
        name = names[id(module)]
        if not isinstance(adapter, LowRank) or isinstance(adapter, Dora) or attribute != "weight":
            raise ValueError(
                f"a PEFT folder cannot hold the {adapter.kind} adapter of {name}.{attribute}: "
                "leave the layer out of lora.targets, or keep Graft's own file"
            )
        found[name] = adapter
    return found


def _described(settings: LoraSettings, pairs: Mapping[str, LowRank], head: list[str]) -> dict[str, Any]:
    """Return PEFT's configuration; its patterns match suffixes of names, so longer names come first."""
    rslora = settings.scaling == "rslora"
    names = sorted(pairs, key=len, reverse=True)
    ranks = {re.escape(name): len(pairs[name].change()[1]) for name in names}
    alphas = {
        re.escape(name): pairs[name].scale * (math.sqrt(rank) if rslora else rank)
        for name, rank in zip(names, ranks.values(), strict=True)
    }
    return {
        "peft_type": "LORA",
        "r": next(iter(ranks.values())),
        "lora_alpha": next(iter(alphas.values())),
        "rank_pattern": ranks if len(set(ranks.values())) > 1 else {},
        "alpha_pattern": alphas if len(set(alphas.values())) > 1 else {},
        "use_rslora": rslora,
        "target_modules": "|".join(re.escape(name) for name in names),
        "modules_to_save": head or None,
        "bias": "none",
        "inference_mode": True,
    }


def _refuse_uncalled(model: nn.Module, names: Iterable[str], example: Example | None) -> None:
    """Refuse layers that a run never calls: PEFT wraps layers, and misses a weight that the parent reads."""

    def see(tried: Example) -> set[str]:
        called: set[str] = set()
        for name in names:
            model.get_submodule(name).register_forward_pre_hook(lambda module, args, name=name: called.add(name))
        run(model, tried)
        return called

    try:
        _, called = look(model, example, see)
    except Unseen as error:
        if example is not None:
            raise
        log.warning("whether every adapted layer is called, as PEFT needs it, is not known: %s", error)
        return
    uncalled = [name for name in names if name not in called]
    if uncalled:
        raise ValueError(
            f"PEFT cannot apply the adapter of {uncalled[0]}: its parent reads the weight and never calls the layer; "
            "leave it out of lora.targets, or keep Graft's own file"
        )
