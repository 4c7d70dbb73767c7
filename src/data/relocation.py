"""Overrides for the data of an earlier training: where the files are now, and how they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SOURCES = ("root", "table", "path")  # what images are found by
PLACES = (*SOURCES, "files_dir", "layout", "split_file", "cache_dir")
LOADING = ("on_error", "batch_size", "num_workers")  # what changes no figure of an image that can be read


def relocate(settings: Mapping[str, Any], overrides: Mapping[str, Any], allowed: tuple[str, ...]) -> dict[str, Any]:
    """Return the data settings of a run, updated by overrides.

    Args:
        settings: What `conf/data` was composed to in the training.
        overrides: New values by key.
        allowed: Keys that may be overridden.

    Raises:
        ValueError: Another key is overridden, or one that the run's source does not have.
    """
    # The folder layout could not be chosen before, so that older runs lack the key.
    present = {
        *settings,
        *(("layout",) if str(settings.get("_target_")).endswith(".FolderData") else ()),
    }
    own = [key for key in allowed if key not in (*SOURCES, "files_dir", "layout") or key in present]
    for key in overrides:
        if key not in own:
            raise ValueError(
                f"data.{key} is not to be given for the run's own data, which {settings.get('_target_')} reads: "
                f"of them may be said anew {', '.join(f'data.{name}' for name in own)}"
            )
    return {**settings, **overrides}


def location_words(overrides: Mapping[str, Any]) -> str:
    """Return the overrides among `overrides` that say where the images are, as typed; empty where none does."""
    return " ".join(f"data.{key}={overrides[key]}" for key in SOURCES if key in overrides)
