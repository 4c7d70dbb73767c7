"""What to say of an override that names a key or a choice which the configs lack."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import hydra
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf


def mistyped(error: BaseException, config: str) -> ValueError | None:
    """Return what helps more than `error`, or None where it is about something else.

    Args:
        error: What Hydra raised while it composed.
        config: Name of the command's config.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        choices = ", ".join(error.options)
        return ValueError(f"there is no {group}={choice}{_near(choice, error.options)} (choose from {choices})")
    found = re.search(r"Could not override '([\w./]+)'", str(error))
    if found is None:
        return None
    key = found[1]
    if "No match in the defaults list" in str(error):
        wanted = next((word for word in sys.argv[1:] if word.startswith(f"{key}=")), key)
        way = f"write +{wanted}" if key == "experiment" else "this command takes none"
        return ValueError(f"conf/{config}.yaml has no {key}: {way}")
    parent, _, last = key.rpartition(".")
    known = _known(config, key)
    if last in known:  # a mapping, and what is not in it yet
        return ValueError(f"{key} takes new entries with a plus: write +{key}=")
    if parent == "data" and "_target_" not in known:  # conf/data/_own.yaml
        keys = ", ".join(f"data.{name}" for name in known)
        return ValueError(f"{key} stays as it was in the training: of its own data may be said anew {keys}")
    near = _near(last, known, parent) or (f": write +{key}= to add it" if "use +" in str(error) else "")
    return ValueError(f"there is no {key} in conf/{config}.yaml and its groups{near}")


def _known(config: str, key: str) -> list[str]:
    """Return the keys beside `key`, with the other choices of the command line."""
    choices = [word for word in sys.argv[1:] if re.match(r"\+?\w+=\w+$", word) and not word.startswith(f"{key}=")]
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(Path(__file__).resolve().parents[1] / "conf"), version_base="1.3"):
        try:
            composed = compose(config, choices)
        except HydraException:  # one of them is wrong too
            composed = compose(config)
        parent = key.rpartition(".")[0]
        place = OmegaConf.select(composed, parent) if parent else composed
    return [str(name) for name in place] if OmegaConf.is_dict(place) else []


def _near(name: str, known: Iterable[str], place: str = "") -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {f'{place}.{close[0]}' if place else close[0]}?" if close else ""
