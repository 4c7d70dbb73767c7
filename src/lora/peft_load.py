"""Read the LoRA folders of Hugging Face PEFT."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .adapter_file import check, counts, fill
from .fingerprint import fingerprint
from .fold import FoldedNorm, folded_norms
from .header import AdapterError
from .heads import head_state
from .inject import Graft, Injection, attach, grow, thaw
from .look import Example
from .peft_format import PREFIX, WEIGHTS, is_target, read_config, refuse_layers, settings_of
from .peft_head import is_saved, saved
from .prepare import is_adapted, prepare
from .settings import LoraSettings
from .targets import sites
from .undo import undone_on_error

Pair = tuple[Tensor, Tensor]  # A and B


def load_peft(folder: str | Path, model: nn.Module, example: Example | None = None) -> Injection:
    """Adapt a plain `model` as a PEFT LoRA folder says; whatever is raised, the model is untouched.

    A layer whose pair is larger than its weight becomes dense, with the same update. A pair on the head is added to the
    head, which Graft trains whole. Modules in `modules_to_save` come from the folder, statistics included; the rest of
    the head stays as it is in the model. PEFT stores no hash of the base, so nothing checks that it is the right one.
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
    refuse_layers(model, pairs)
    _refuse_gaps(folder, model, config, pairs, whole)
    _refuse_what_stays(folder, model, pairs, {name: value for name, value in whole.items() if name not in head})
    further = {name: whole[name] for name, _ in model.named_parameters() if name in whole and name not in head}
    updates = _updates(folder, model, settings_of(folder, config, pairs), pairs)
    settings = settings_of(folder, config, (name for name in pairs if f"{name}.weight" not in head))
    # A folded norm has no parameters that could take values from the folder.
    settings = replace(settings, fold_norms=not further)
    state = {name: value for name, value in model.state_dict(keep_vars=True).items() if name in whole}
    check(folder, {name: tuple(value.shape) for name, value in state.items()}, whole, counts(state))
    # All checks are done: from here on the model changes.
    with undone_on_error(model.modules(), *head.values(), *(state[name] for name in further)):
        rootstock = prepare(model, settings.fold_norms, fingerprint(model), example)
        grafts = grow(model, settings)
        _fill(grafts, updates, folded_norms(model))
        fill({name: head[name] for name in whole if name in head}, whole)
        for name, update in updates.items():
            if f"{name}.weight" in head:
                head[f"{name}.weight"].data.add_(update["D"].to(head[f"{name}.weight"].device))
        injection = attach(model, settings, grafts, rootstock)
        return thaw(model, further) if further else injection


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
    """Return A and B by layer, and the tensors that are saved whole, such as the head, by their names in the model."""
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
    """Refuse a folder that lacks tensors of layers that its configuration adapts or saves."""
    names, head = tuple(config.get("modules_to_save") or ()), head_state(model)
    lacking = sorted(set(saved(model, names) or (head if set(whole) & set(head) else ())) - set(whole))
    if lacking:
        raise AdapterError(f"{folder} lacks {lacking[:3]} of the head: save the adapter again")
    # These options select layers by rules that Graft does not repeat.
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
    folder: Path, model: nn.Module, pairs: Mapping[str, Pair], further: Mapping[str, Tensor]
) -> None:
    """Refuse what no file of Graft can change: tied weights, and in `further`, outside the head, statistics."""
    reached = {site.name for site in sites(model)} | {name.removesuffix(".weight") for name in head_state(model)}
    tied = sorted(set(pairs) - reached)
    if tied:
        raise AdapterError(f"{folder} adapts {tied[0]}, whose weight is tied or made of others: merge in PEFT")
    statistics = dict(model.named_buffers())
    frozen = sorted(name for name in statistics.keys() & further if not torch.equal(further[name], statistics[name]))
    if frozen:
        raise AdapterError(f"{folder} holds {frozen[0]}, and Graft changes no statistics but the head's: merge in PEFT")


def _updates(
    folder: Path, model: nn.Module, settings: LoraSettings, pairs: Mapping[str, Pair]
) -> dict[str, dict[str, Tensor]]:
    """Return A, B and the dense update D of every layer, checked against the shape of its weight."""
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


def _fill(
    grafts: Sequence[Graft], updates: Mapping[str, Mapping[str, Tensor]], folded: Mapping[int, FoldedNorm]
) -> None:
    """Copy the updates into the adapters; for a folded convolution each row is multiplied by its factor."""
    with torch.no_grad():
        for graft in grafts:
            fold = folded.get(id(graft.site.module))
            for name, parameter in graft.adapter.named_parameters():
                value = updates[graft.site.name][name].to(parameter.device)
                if fold is not None and name != "A":
                    value = value * (fold.rows * fold.alive).view(-1, *[1] * (value.ndim - 1))
                parameter.copy_(value)
