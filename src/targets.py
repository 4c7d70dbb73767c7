"""What a `_target_` names: ours are written as `graft.…` and mean the package that runs, whatever its name is here."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import hydra.utils
from omegaconf import DictConfig, ListConfig, OmegaConf

from .package import COMMON, NAME, NAMES
from .source import find

RESOLVER = "graft"  # `${graft:folders.SweepTable}`, for a target that Hydra itself calls


def common_target(target: str) -> str:
    """Return a target as it is written, whichever of our names it begins with; another one as it is."""
    return _renamed(target, COMMON)


def local_target(target: str) -> str:
    """Return a target as it is imported here, whichever of our names it begins with; another one as it is."""
    return _renamed(target, NAME)


def instantiate(config: Mapping[str, Any] | DictConfig, *args: Any, **kwargs: Any) -> Any:
    """Call what `config` names, as `hydra.utils.instantiate` does; what is ours, in the package that runs.

    Args:
        config: A node of a config, with targets in it or in its nodes; it stays as it is.
        args: Handed on to the target.
        kwargs: As well.
    """
    node = copy.deepcopy(config) if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
    OmegaConf.resolve(node)  # its parent is still that of `config`
    _localise(node)
    return hydra.utils.instantiate(node, *args, **kwargs)


def register_resolver() -> None:
    """Let configs name what is ours by `${graft:...}`, for targets that Hydra calls without us."""
    OmegaConf.register_new_resolver(RESOLVER, lambda rest: f"{NAME}.{rest}", replace=True)


def _renamed(target: str, name: str) -> str:
    """Return a target under another of our names; a package of somebody else's may be called `src` too."""
    root, _, rest = target.partition(".")
    found = find(target) if root in NAMES else None
    return f"{name}.{rest}" if found is not None and found.module.ours else target


def _localise(node: DictConfig | ListConfig) -> None:
    keys = range(len(node)) if isinstance(node, ListConfig) else list(node)
    for key in keys:
        if OmegaConf.is_missing(node, key):
            continue
        if isinstance(node[key], (DictConfig, ListConfig)):
            _localise(node[key])
        elif key == "_target_" and isinstance(node[key], str):
            node[key] = local_target(node[key])
