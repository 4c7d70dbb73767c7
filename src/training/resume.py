"""The settings of a resumed training: those of the run, with the overrides that are allowed."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from ..absent import no_run
from ..data.relocation import PLACES, relocate
from ..tasks import require_unfinished
from ..typed import given

ENDS = ("trainer.max_epochs", "trainer.max_steps")
NO_EARLY_STOP = "~callbacks.early_stopping"


def resume_settings(config: DictConfig, overrides: list[str]) -> DictConfig:
    """Return the settings of the run to resume, with the trainer's that were given and where its files lie now.

    Raises:
        ValueError: There is no such run, nothing of it is left to do, or another setting was given.
    """
    folder = _run(Path(config.resume))
    if not (folder / "config.yaml").is_file():
        # A refused training leaves the page of its audit alone: there is nothing to resume.
        raise ValueError(no_run(folder))
    settings = OmegaConf.load(folder / "config.yaml")
    assert isinstance(settings, DictConfig)
    for override in overrides:
        key, _, _ = override.lstrip("+").partition("=")
        if key == NO_EARLY_STOP:
            OmegaConf.update(settings, "callbacks.early_stopping", None)
        elif key.startswith("trainer.") or key == "backbone.weights":
            OmegaConf.update(settings, key, OmegaConf.select(config, key))
            if key in ENDS and settings.get("recipe"):
                settings.recipe.pop("epochs", None)  # another end than the one that was chosen
        elif key != "resume" and not key.startswith("data."):
            raise ValueError(
                f"resume takes the run's own settings; {override!r} would change them: only trainer.* may, and where "
                "its files lie now: data.root=DIR and its like, backbone.weights=FILE"
            )
    settings.data = relocate(dict(settings.data), given(config.data), (*PLACES, "num_workers"))
    settings.trainer._target_ = config.trainer._target_  # an older run has Lightning's own
    settings.trainer.pop("_partial_", None)
    settings.resume, settings.run_dir = str(folder), str(folder)
    callbacks = (settings.callbacks or {}).values()
    stops = any(str(each.get("_target_", "")).endswith("EarlyStopping") for each in callbacks if each)
    changed = any(override.lstrip("+").startswith(("trainer.", NO_EARLY_STOP)) for override in overrides)
    require_unfinished(folder, settings.trainer, stops, changed)
    return settings


def _run(path: Path) -> Path:
    """Follow `latest`, which moves to the run when it ends; a run below this folder stays relative, as it began."""
    place, here = path.resolve(), Path.cwd()
    return place.relative_to(here) if here in place.parents else place
