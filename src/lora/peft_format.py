"""Read and write the LoRA folders of Hugging Face PEFT: `adapter_config.json` and `adapter_model.safetensors`.

The names in the files and what they mean are those of PEFT 0.21 (`peft/utils/save_and_load.py`,
`peft/tuners/lora/layer.py`): A and B of a convolution are convolutions, r x in x kh x kw and out x r x 1 x 1.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from src.lora.adapter_file import AdapterError, check, fill, head_parameters, write_tensors
from src.lora.adapters import Dora, LowRank
from src.lora.fold import Fold, folds
from src.lora.hashing import base_hash
from src.lora.inject import Graft, Injection, adapters, attach, grow, injection_of, plan, prepare
from src.lora.settings import LoraSettings
from src.lora.targets import Site, classifiers

CONFIG, WEIGHTS, PREFIX = "adapter_config.json", "adapter_model.safetensors", "base_model.model."
UPDATABLE = (nn.Linear.forward, nn.Conv2d.forward, Conv2dSame.forward)  # linear in the weight, and called by parents
PLAIN_INITS = (True, False, None, "gaussian", "eva", "orthogonal")  # the other words mean that W was changed
UNREAD = ("use_dora", "lora_bias", "fan_in_fan_out", "use_qalora", "layer_replication", "target_parameters")
Pair = tuple[Tensor, Tensor]  # A and B


def load_peft(folder: str | Path, model: nn.Module) -> Injection:
    """Adapt a plain `model` as a PEFT LoRA folder says; on an error the model is untouched.

    A layer whose pair is larger than its weight becomes dense, with the very same update. A folder without
    `modules_to_save` leaves the model's own head. PEFT keeps no hash: that the base is the right one is up to you.

    Raises:
        AdapterError: The folder is no plain LoRA of PEFT, is damaged, or does not fit the model.
        ValueError: It adapts a layer that is no plain Linear or ungrouped, undilated Conv2d; the layer is named.
    """
    folder = Path(folder)
    if injection_of(model) is not None:
        raise AdapterError("this model has adapters already: merge or remove them before loading others")
    config, own_head = _config(folder), head_parameters(model)
    pairs, head = _sorted(folder, _tensors(folder), own_head)
    _refuse_layers(model, pairs)
    settings = _settings(config, pairs)
    updates = _updates(folder, settings, plan(model, settings), pairs)
    check(folder, {name: tuple(own_head[name].shape) for name in head}, head)
    rootstock = prepare(model, settings.fold_norms, base_hash(model))
    grafts = grow(model, settings)
    _fill(grafts, updates, folds(model))
    fill({name: own_head[name] for name in head}, head)
    return attach(model, settings, grafts, rootstock)


def save_peft(folder: str | Path, model: nn.Module) -> Path:
    """Write the adapters and the head of `model` as a LoRA folder that PEFT reads, and return the folder.

    PEFT wraps layers, so a weight that a parent module reads itself (`qkv` of BEiT) has no effect there.

    Raises:
        ValueError: The model has no adapters, or one that PEFT cannot hold (dense, DoRA, a blend), or on a layer that
            is no plain Linear or ungrouped, undilated Conv2d; the layer is named.
    """
    folder = Path(folder)
    injection = injection_of(model)
    if injection is None or not injection.layers:
        raise ValueError("this model has no adapters to save: call inject with targets first")
    pairs = _low_rank(model)
    _refuse_layers(model, pairs)
    tensors = {f"{PREFIX}{name}": parameter for name, parameter in head_parameters(model).items()}
    folded = folds(model)
    for name, adapter in pairs.items():
        b, a = adapter.change()
        module = model.get_submodule(name)
        if id(module) in folded:
            fold = folded[id(module)]
            b = (b * fold.alive[:, None] / fold.rows.where(fold.alive, 1)[:, None]).to(b.dtype)
        shape = module._parameters["weight"].shape  # type: ignore[union-attr]
        tensors[f"{PREFIX}{name}.lora_A.weight"] = a.reshape(len(a), *shape[1:])  # type: ignore[assignment]
        tensors[f"{PREFIX}{name}.lora_B.weight"] = b.reshape(*b.shape, *[1] * len(shape[2:]))  # type: ignore[assignment]
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_tensors(folder / WEIGHTS, plain, {"format": "pt"})
    config = _described(model, injection.settings, pairs)
    (folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    return folder


def _low_rank(model: nn.Module) -> dict[str, LowRank]:
    """Return the adapters by layer, and refuse those that PEFT's file has no place for."""
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


def _described(model: nn.Module, settings: LoraSettings, pairs: Mapping[str, LowRank]) -> dict[str, Any]:
    """Return PEFT's configuration; its patterns match the ends of names, so longer names come first."""
    rslora = settings.scaling == "rslora"
    names = sorted(pairs, key=len, reverse=True)
    ranks = {re.escape(name): len(pairs[name].change()[1]) for name in names}
    alphas = {
        re.escape(name): pairs[name].scale * (math.sqrt(rank) if rslora else rank)
        for name, rank in zip(names, ranks.values(), strict=True)
    }
    heads = {id(head) for head in classifiers(model)}
    return {
        "peft_type": "LORA",
        "r": next(iter(ranks.values())),
        "lora_alpha": next(iter(alphas.values())),
        "rank_pattern": ranks if len(set(ranks.values())) > 1 else {},
        "alpha_pattern": alphas if len(set(alphas.values())) > 1 else {},
        "use_rslora": rslora,
        "target_modules": "|".join(re.escape(name) for name in names),
        "modules_to_save": [name for name, module in model.named_modules() if id(module) in heads] or None,
        "bias": "none",
        "inference_mode": True,
    }


def _refuse_layers(model: nn.Module, names: Iterable[str]) -> None:
    modules = dict(model.named_modules())
    for name in names:
        module = modules.get(name)
        if module is None:
            near = ", ".join(difflib.get_close_matches(name, modules, n=3, cutoff=0.3)) or "none"
            raise AdapterError(
                f"this model has no layer {name}; near names: {near}. Create the backbone that it is for"
            )
        plain = isinstance(module, (nn.Linear, nn.Conv2d)) and type(module).forward in UPDATABLE
        if not plain or (isinstance(module, nn.Conv2d) and (module.groups > 1 or max(module.dilation) > 1)):
            raise ValueError(
                f"PEFT and Graft cannot exchange {name}: only Linear and Conv2d without groups, dilation or a weight "
                "that is changed before use mean the same in both; leave the layer out of the targets"
            )


def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind, unread = config["peft_type"], [option for option in UNREAD if config.get(option)]
        if config.get("bias", "none") != "none":
            unread.append("bias")
        if config.get("init_lora_weights") not in PLAIN_INITS:
            unread.append("init_lora_weights")
    except FileNotFoundError as error:
        raise AdapterError(f"no {CONFIG} in {folder}: give the folder that PEFT's save_pretrained wrote") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AdapterError(
            f"{folder / CONFIG} is no configuration of PEFT ({error}): save the adapter again"
        ) from error
    if kind != "LORA" or unread:
        why = f"its peft_type is {kind}" if kind != "LORA" else f"it uses {', '.join(unread)}"
        raise AdapterError(f"{folder} is no plain LoRA that Graft can read: {why}; merge it in PEFT instead")
    return config


def _tensors(folder: Path) -> dict[str, Tensor]:
    if not (folder / WEIGHTS).is_file():
        raise AdapterError(f"no {WEIGHTS} in {folder}: pickled .bin files are never loaded, save as safetensors")
    try:
        return load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise AdapterError(f"{folder / WEIGHTS} is damaged ({error}): copy it again") from error


def _sorted(
    folder: Path, tensors: Mapping[str, Tensor], own_head: Mapping[str, Tensor]
) -> tuple[dict[str, Pair], dict[str, Tensor]]:
    """Return A and B by layer, and the head by parameter."""
    head, sides = {}, {"A": dict[str, Tensor](), "B": dict[str, Tensor]()}
    for key, tensor in tensors.items():
        name = key.removeprefix(PREFIX)
        matched = re.fullmatch(r"(.+)\.lora_([AB])\.weight", name)
        if matched:
            sides[matched[2]][matched[1]] = tensor
        elif name in own_head:
            head[name] = tensor
        else:
            raise AdapterError(
                f"{folder} holds {key}, which is neither a LoRA pair nor this model's head: merge in PEFT"
            )
    single = sorted(set(sides["A"]) ^ set(sides["B"]))
    if single or not sides["A"]:
        raise AdapterError(f"{folder} lacks A or B of {single[:3] or 'every layer'}: save the adapter again")
    return {name: (a, sides["B"][name]) for name, a in sides["A"].items()}, head


def _settings(config: Mapping[str, Any], pairs: Mapping[str, Pair]) -> LoraSettings:
    ranks, alphas = ({n: _match(config.get(key) or {}, n) for n in pairs} for key in ("rank_pattern", "alpha_pattern"))
    return LoraSettings(
        rank=config.get("r", 8),
        alpha=config.get("lora_alpha", 8),
        targets=tuple(pairs),
        scaling="rslora" if config.get("use_rslora") else "lora",
        ranks={name: rank for name, rank in ranks.items() if rank is not None},
        alphas={name: alpha for name, alpha in alphas.items() if alpha is not None},
    )


def _match(patterns: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", name)), None)


def _updates(
    folder: Path, settings: LoraSettings, sites: Sequence[Site], pairs: Mapping[str, Pair]
) -> dict[str, dict[str, Tensor]]:
    """Return A, B and the whole update D of every layer, checked against its weight."""
    found: dict[str, dict[str, Tensor]] = {}
    for site in sites:
        (out, *rest), recipe, (a, b) = site.weight.shape, settings.recipe(site.name), pairs[site.name]
        if a.shape != (recipe.rank, *rest) or b.shape != (out, recipe.rank, *[1] * len(rest[1:])):
            raise AdapterError(
                f"{folder} does not fit {site.name}: A is {tuple(a.shape)} and B {tuple(b.shape)} for a weight of "
                f"{(out, *rest)} and rank {recipe.rank}"
            )
        a, b = a.flatten(1), b.flatten(1)
        values = {"A": a, "B": b, "D": (recipe.scale * (b.double() @ a.double())).view(out, *rest)}
        named = {f"{site.name}.lora_{key}": value for key, value in values.items()}
        check(folder, {key: tuple(value.shape) for key, value in named.items()}, named)
        found[site.name] = values
    return found


def _fill(grafts: Sequence[Graft], updates: Mapping[str, Mapping[str, Tensor]], folded: Mapping[int, Fold]) -> None:
    """Copy the updates in, those of folded convolutions with each row times its factor."""
    with torch.no_grad():
        for graft in grafts:
            fold = folded.get(id(graft.site.module))
            for name, parameter in graft.adapter.named_parameters():
                value = updates[graft.site.name][name].to(parameter.device)
                if fold is not None and name != "A":
                    value = value * (fold.rows * fold.alive).view(-1, *[1] * (value.ndim - 1))
                parameter.copy_(value)
