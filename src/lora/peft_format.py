"""Read and write the LoRA folders of Hugging Face PEFT: `adapter_config.json` and `adapter_model.safetensors`.

The names in the files and what they mean are those of PEFT 0.21 (`peft/utils/save_and_load.py`,
`peft/tuners/lora/layer.py`): A and B of a convolution are convolutions, r x in x kh x kw and out x r x 1 x 1.
"""

from __future__ import annotations

import difflib
import json
import logging
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

from src.atomic import write_text
from src.lora.adapter_file import check, fill, folded_names, write_tensors
from src.lora.adapters import Dora, LowRank
from src.lora.fold import Fold, folds
from src.lora.hashing import fingerprint
from src.lora.header import AdapterError
from src.lora.heads import head_state
from src.lora.inject import Graft, Injection, adapters, attach, grow, injection_of, is_adapted, prepare, thaw
from src.lora.look import Example, Unseen, look, run
from src.lora.peft_config import CONFIG, is_target, read_config, settings_of
from src.lora.peft_head import is_saved, names_to_save, saved
from src.lora.settings import LoraSettings
from src.lora.targets import sites
from src.lora.undo import undone_on_error

log = logging.getLogger(__name__)
WEIGHTS, PREFIX = "adapter_model.safetensors", "base_model.model."
UPDATABLE = (nn.Linear.forward, nn.Conv2d.forward, Conv2dSame.forward)  # linear in the weight, and called by parents
Pair = tuple[Tensor, Tensor]  # A and B


def load_peft(folder: str | Path, model: nn.Module, example: Example | None = None) -> Injection:
    """Adapt a plain `model` as a PEFT LoRA folder says; whatever is raised, the model is untouched.

    A layer whose pair is larger than its weight becomes dense, with the very same update. A pair on the head is added
    to the head, which Graft trains whole. What `modules_to_save` names comes from the folder, statistics included; the
    rest of the head stays the model's own. PEFT keeps no hash: that the base is the right one is up to you.
    `example` is that of `inject`.

    Raises:
        AdapterError: The folder is no plain LoRA of PEFT, is damaged, or does not fit the model.
        ValueError: It adapts a layer that is no plain Linear or ungrouped, undilated Conv2d; the layer is named.
    """
    folder = Path(folder)
    folder = folder.parent if folder.name == WEIGHTS else folder
    if is_adapted(model):
        raise AdapterError("this model has adapters already: merge or remove them before loading others")
    config, head = read_config(folder), head_state(model)
    names = tuple(config.get("modules_to_save") or ())
    pairs, whole = _sorted(folder, _tensors(folder), {*head, *saved(model, names)})
    _refuse_layers(model, pairs)
    _refuse_gaps(folder, model, config, pairs, whole)
    further = _refuse_what_stays(folder, model, pairs, {name: whole[name] for name in whole if name not in head})
    updates = _updates(folder, model, settings_of(folder, config, pairs), pairs)
    settings = settings_of(folder, config, (name for name in pairs if f"{name}.weight" not in head))
    state = model.state_dict(keep_vars=True)
    counts = [name for name in whole if not state[name].is_floating_point()]
    check(folder, {name: tuple(state[name].shape) for name in whole}, whole, counts)
    with undone_on_error(model, *head.values(), *(state[name] for name in further)):
        rootstock = prepare(model, settings.fold_norms, fingerprint(model), example)
        folded = sorted(folded_names(model) & set(further))
        if folded:
            raise AdapterError(f"{folder} holds {folded[:3]} whole, beside a norm that is folded here: merge in PEFT")
        grafts = grow(model, settings)
        _fill(grafts, updates, folds(model))
        fill({name: head[name] for name in whole if name in head}, whole)
        for name, update in updates.items():
            if f"{name}.weight" in head:
                head[f"{name}.weight"].data.add_(update["D"].to(head[f"{name}.weight"].device))
        injection = attach(model, settings, grafts, rootstock)
        return thaw(model, further) if further else injection


def save_peft(folder: str | Path, model: nn.Module, example: Example | None = None) -> Path:
    """Write the adapters and the head of `model` as a LoRA folder that PEFT reads, and return the folder.

    `example` is that of `inject`: one run tells which layers are called at all.

    Raises:
        ValueError: The model has no adapters, or one that PEFT cannot hold (dense, DoRA, a blend), or on a layer that
            is no plain Linear or ungrouped, undilated Conv2d, or that is never called; the layer is named.
    """
    folder = Path(folder)
    injection = injection_of(model)
    if injection is None or not injection.layers:
        raise ValueError("this model has no adapters to save: call inject with targets first")
    pairs = _low_rank(model)
    _refuse_layers(model, pairs)
    names = names_to_save(model, pairs)
    _refuse_uncalled(model, pairs, example)
    tensors = {f"{PREFIX}{name}": value for name, value in saved(model, names).items()}
    folded = folds(model)
    for name, adapter in pairs.items():
        b, a = adapter.change()
        module = model.get_submodule(name)
        if id(module) in folded:
            fold = folded[id(module)]
            b = (b * fold.alive[:, None] / fold.rows.where(fold.alive, 1)[:, None]).to(b.dtype)
        shape = module._parameters["weight"].shape  # type: ignore[union-attr]
        tensors[f"{PREFIX}{name}.lora_A.weight"] = a.reshape(len(a), *shape[1:])
        tensors[f"{PREFIX}{name}.lora_B.weight"] = b.reshape(*b.shape, *[1] * len(shape[2:]))
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_tensors(folder / WEIGHTS, plain, {"format": "pt"})
    config = _described(injection.settings, pairs, names)
    write_text(folder / CONFIG, json.dumps(config, indent=2))
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


def _described(settings: LoraSettings, pairs: Mapping[str, LowRank], head: list[str]) -> dict[str, Any]:
    """Return PEFT's configuration; its patterns match the ends of names, so longer names come first."""
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


def _refuse_uncalled(model: nn.Module, names: Iterable[str], example: Example | None) -> None:
    """Refuse layers that one run never calls: PEFT wraps layers, and would not see the weight that a parent reads."""

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


def _tensors(folder: Path) -> dict[str, Tensor]:
    if not (folder / WEIGHTS).is_file():
        raise AdapterError(f"no {WEIGHTS} in {folder}: pickled .bin files are never loaded, save as safetensors")
    try:
        return load_file(folder / WEIGHTS)
    except OSError as error:  # without the file's name
        raise AdapterError(
            f"{folder / WEIGHTS} cannot be read ({error}): see to its rights, and to the disk it lies on"
        ) from error
    except SafetensorError as error:
        raise AdapterError(f"{folder / WEIGHTS} is damaged ({error}): copy it again") from error


def _sorted(
    folder: Path, tensors: Mapping[str, Tensor], savable: set[str]
) -> tuple[dict[str, Pair], dict[str, Tensor]]:
    """Return A and B by layer, and what is there whole, such as the head, by its name in the model."""
    whole, sides = {}, {"A": dict[str, Tensor](), "B": dict[str, Tensor]()}
    for key, tensor in tensors.items():
        name = key.removeprefix(PREFIX)
        matched = re.fullmatch(r"(.+)\.lora_([AB])\.weight", name)
        if matched:
            sides[matched[2]][matched[1]] = tensor
        elif name in savable:
            whole[name] = tensor
        else:
            raise AdapterError(
                f"{folder} holds {key}, which is neither a LoRA pair nor this model's head: merge in PEFT"
            )
    single = sorted(set(sides["A"]) ^ set(sides["B"]))
    if single or not sides["A"]:
        raise AdapterError(f"{folder} lacks A or B of {single[:3] or 'every layer'}: save the adapter again")
    return {name: (a, sides["B"][name]) for name, a in sides["A"].items()}, whole


def _refuse_gaps(
    folder: Path, model: nn.Module, config: Mapping[str, Any], pairs: Mapping[str, Pair], whole: Mapping[str, Tensor]
) -> None:
    """Refuse a folder that lacks some of what its own configuration adapts or saves."""
    names, head = tuple(config.get("modules_to_save") or ()), head_state(model)
    lacking = sorted(set(saved(model, names) or (head if set(whole) & set(head) else ())) - set(whole))
    if lacking:
        raise AdapterError(f"{folder} lacks {lacking[:3]} of the head: save the adapter again")
    narrowed = any(config.get(key) for key in ("exclude_modules", "layers_to_transform", "layers_pattern"))
    asked = [
        name
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d)) and f"{name}.weight" not in head and not is_saved(name, names)
        if is_target(folder, config.get("target_modules") or (), name)
    ]
    missing = [] if narrowed else [name for name in asked if name not in pairs]
    if missing:
        raise AdapterError(f"{folder} lacks A and B of {missing[:3]}, which its configuration adapts: save it again")


def _refuse_what_stays(
    folder: Path, model: nn.Module, pairs: Mapping[str, Pair], further: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Return `further`, what a folder holds whole beside the head; refuse what no file of Graft can change."""
    reached = {site.name for site in sites(model)} | {name.removesuffix(".weight") for name in head_state(model)}
    tied = sorted(set(pairs) - reached)
    if tied:
        raise AdapterError(f"{folder} adapts {tied[0]}, whose weight is tied or made of others: merge in PEFT")
    frozen = sorted(set(further) - dict(model.named_parameters()).keys())
    if frozen:
        raise AdapterError(f"{folder} holds {frozen[0]}, and Graft changes no statistics but the head's: merge in PEFT")
    return further


def _updates(
    folder: Path, model: nn.Module, settings: LoraSettings, pairs: Mapping[str, Pair]
) -> dict[str, dict[str, Tensor]]:
    """Return A, B and the whole update D of every layer, checked against its weight."""
    found: dict[str, dict[str, Tensor]] = {}
    for layer, (a, b) in pairs.items():
        (out, *rest), recipe = model.get_parameter(f"{layer}.weight").shape, settings.recipe(layer)
        if a.shape != (recipe.rank, *rest) or b.shape != (out, recipe.rank, *[1] * len(rest[1:])):
            raise AdapterError(
                f"{folder} does not fit {layer}: A is {tuple(a.shape)} and B {tuple(b.shape)} for a weight of "
                f"{(out, *rest)} and rank {recipe.rank}"
            )
        a, b = a.flatten(1), b.flatten(1)
        values = {"A": a, "B": b, "D": (recipe.scale * (b.double() @ a.double())).view(out, *rest)}
        named = {f"{layer}.lora_{key}": value for key, value in values.items()}
        check(folder, {key: tuple(value.shape) for key, value in named.items()}, named)
        found[layer] = values
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
