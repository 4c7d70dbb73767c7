"""Write and read an adapter: everything that differs from the frozen backbone, in one safetensors file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..atomic import make_folder, write_bytes
from .adapters import Blend
from .fingerprint import fingerprint
from .fold import folded_norms, is_folded
from .header import AdapterError, AdapterHeader, parse_header
from .heads import head_state
from .inject import Graft, Injection, adapters, attach, grow, injection_of, shapes, thaw
from .look import Example
from .prepare import is_adapted, prepare
from .settings import LoraSettings
from .undo import undone_on_error

ADAPTER, WEIGHTS = "adapter.safetensors", "weights.safetensors"  # of a run folder


def save_adapter(path: str | Path, model: nn.Module, metadata: Mapping[str, Any] | None = None) -> Path:
    """Save the adapters, the head with its statistics, and every other parameter that requires a gradient, atomically.

    Args:
        path: The file to write, `.safetensors` by custom; what was there stays until the new one is whole.
        model: A model that `inject` adapted.
        metadata: JSON-ready values to keep with it.

    Raises:
        ValueError: The model has no adapters, or a blend of several, or trains a layer whose norm is folded into it.
    """
    injection = injection_of(model)
    if injection is None:
        raise ValueError("this model has no adapters to save: call inject first")
    if any(isinstance(adapter, Blend) for _, _, adapter in adapters(model)):
        raise ValueError("a blend has no file of its own: keep the files that it is made of")
    _refuse_folded(model)
    # By requires_grad, not by type: a user may have unfrozen a norm beside the adapters.
    learnt = {name: p for name, p in model.named_parameters() if p.requires_grad} | head_state(model)
    tensors = {name: parameter.detach().cpu().contiguous() for name, parameter in learnt.items()}
    header = AdapterHeader(injection.settings, injection.base, injection.folded, dict(metadata or {}))
    return write_tensors(path, tensors, {"graft": header.to_text()})


def _refuse_folded(model: nn.Module) -> None:
    """Refuse values that only the folded layers here have: no plain model could take them."""
    folded = folded_names(model)
    unfrozen = [name for name, p in model.named_parameters() if p.requires_grad and name in folded]
    if unfrozen:
        raise ValueError(
            f"{unfrozen[0]} was unfrozen, and an adapter file cannot hold it: a batch norm is folded into its layer; "
            "adapt the layer, or inject with fold_norms=False"
        )


def folded_names(model: nn.Module) -> set[str]:
    """Return the names of the parameters that a fold has changed or put out of use, in a prepared model."""
    convs = folded_norms(model)
    return {
        f"{name}.{key}"
        for name, module in model.named_modules()
        if id(module) in convs or is_folded(module)
        for key, parameter in module._parameters.items()
        if parameter is not None
    }


def write_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write a safetensors file, whole or not at all; its folder is made."""
    path = Path(path)
    make_folder(path.parent)
    write_bytes(path, save(tensors, metadata))
    return path


def read_adapter(path: str | Path) -> AdapterHeader:
    """Return the header of an adapter file, or of the one in a run folder, without its tensors.

    Raises:
        AdapterError: The file is missing, cut short, no safetensors, or no adapter.
    """
    return read_tensors(Path(path))[0]


def load_adapter(path: str | Path, model: nn.Module, example: Example | None = None) -> Injection:
    """Inject with the settings of an adapter file into a plain `model`, and fill in the file's values.

    Everything is checked first: whatever is raised, the model is untouched.

    Args:
        path: The file, or its run folder.
        model: The base that the adapter was trained on.
        example: As in `inject`, and as it was there: it decides which norms fold.

    Raises:
        AdapterError: The file is no adapter, is for another base, or its names, shapes or values do not fit.
    """
    path = Path(path)
    header, tensors = read_tensors(path)
    if is_adapted(model):
        raise AdapterError("this model has adapters already: merge or remove them before loading others")
    base = fingerprint(model)
    header.check_base(path, base)
    head, grown = head_of(model, tensors), expected(path, model, header.settings)
    plain = {name: p for name, p in model.named_parameters() if name in tensors} | head
    check(path, grown | {name: tuple(value.shape) for name, value in plain.items()}, tensors, counts(head))
    with undone_on_error(model.modules(), *plain.values()):
        rootstock = prepare(model, header.settings.fold_norms, base, example)
        # The update was learnt for folded weights: with other norms folded it would be another one.
        if rootstock.folded != header.folded:
            raise other_folds(str(path), header.folded, rootstock.folded)
        further = {name: tensors[name] for name in plain if name not in head}
        refuse_folded(str(path), model, further)
        grafts = grow(model, header.settings)
        fill(parameters(grafts) | head, tensors)
        injection = attach(model, header.settings, grafts, rootstock)
        return thaw(model, further) if further else injection


def other_folds(source: str, trained: int, here: int) -> AdapterError:
    """Return the error for an adapter that was trained with other batch norms folded than fold here."""
    return AdapterError(
        f"{source} was trained with {trained} batch norms folded, and {here} fold here: "
        "use the timm version that the adapter names, and the same example= if there was one"
    )


def refuse_folded(source: str, model: nn.Module, further: Iterable[str]) -> None:
    """Refuse values of a plain model's layers that are folded in this one."""
    changed = sorted(folded_names(model).intersection(further))
    if changed:
        raise AdapterError(f"{source} holds {changed[:3]}, which are folded here: the file is damaged, train again")


def expected(path: Path, model: nn.Module, settings: LoraSettings) -> dict[str, tuple[int, ...]]:
    """Return the shape of every adapter parameter that a file with these settings holds.

    Raises:
        AdapterError: They name layers that the model lacks.
    """
    try:
        return shapes(model, settings)
    except ValueError as error:
        raise AdapterError(f"{path} does not fit this model: {error}") from error


def head_of(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what a file has to hold of the head: its parameters, and its statistics, which older files lack."""
    return {
        name: value for name, value in head_state(model).items() if name in tensors or isinstance(value, nn.Parameter)
    }


def counts(values: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the values that are whole numbers, as of batches seen."""
    return [name for name, value in values.items() if not value.is_floating_point()]


def parameters(grafts: Sequence[Graft]) -> dict[str, nn.Parameter]:
    """Return the parameters of several adapters by their names in the adapted model."""
    return {name: parameter for graft in grafts for name, parameter in graft.parameters().items()}


def fill(parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy a file's checked tensors into parameters and buffers of the same names."""
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])


def check(
    path: Path,
    expected: Mapping[str, tuple[int, ...]],
    tensors: Mapping[str, Tensor],
    counts: Collection[str] = (),
) -> None:
    """Refuse tensors with other names or shapes than `expected`, or without finite values; `counts` are no floats.

    Raises:
        AdapterError: With the tensor's name.
    """
    missing, surplus = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or surplus:
        raise AdapterError(
            f"{path} does not fit this model: missing {missing[:3]}, surplus {surplus[:3]}; "
            "take the whole file that was trained on this very backbone"
        )
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise AdapterError(
                f"{path} does not fit this model: {name} is {tuple(tensors[name].shape)} in the file and {shape} in "
                "the model (another number of classes?)"
            )
        if tensors[name].is_floating_point() == (name in counts):
            raise AdapterError(f"{path} holds {tensors[name].dtype} in {name}, not floats: the file is damaged")
        if not tensors[name].isfinite().all():
            raise AdapterError(f"{path} holds NaN or infinity in {name}: the training diverged, or the file is damaged")


def find_adapter(path: Path) -> Path:
    """Return the adapter file that `path` names: itself, or the one in a run folder.

    Raises:
        AdapterError: There is none.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise AdapterError(f"no adapter file at {path}: give the file, its run folder, or exports/<experiment>/latest")
    if not (path / ADAPTER).is_file():
        full = f": every weight was trained, and {WEIGHTS} holds them" if (path / WEIGHTS).is_file() else ""
        raise AdapterError(
            f"{path} holds no {ADAPTER}{full or _of_peft(path) or ': give the folder of a finished training'}"
        )
    return path / ADAPTER


def _of_peft(folder: Path) -> str:
    return ": it is of PEFT, load_peft reads it" if (folder / "adapter_config.json").is_file() else ""


def read_tensors(path: Path) -> tuple[AdapterHeader, dict[str, Tensor]]:
    """Return what an adapter file says of itself, and its tensors.

    Raises:
        AdapterError: As `read_adapter`.
    """
    path = find_adapter(path)
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("graft")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except OSError as error:  # without the file's name
        raise AdapterError(f"{path} cannot be read ({error}): see to its rights, and to the disk it lies on") from error
    except SafetensorError as error:
        raise AdapterError(
            f"{path} is no safetensors file or is damaged ({error}): pickled files (.pt, .ckpt, .bin) are never loaded"
        ) from error
    if text is None:
        raise AdapterError(f"{path} is a safetensors file, but no Graft adapter{_of_peft(path.parent)}")
    return parse_header(path, text, (str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values())), tensors
