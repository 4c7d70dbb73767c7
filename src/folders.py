"""Where a command writes: a folder of its own, or the one that the user named."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from .atomic import make_folder, new_folder
from .command import WRONG_INPUT
from .package import NAME


def output_folder(key: str, wanted: Path) -> Path:
    """Return the folder that a command writes into: as it is where the user named it by `key`, else a new one."""
    if not is_named(key):
        return new_folder(wanted)
    make_folder(wanted)
    return wanted


def is_named(key: str) -> bool:
    """Return whether the user gave a value to `key`; call it while Hydra runs."""
    return any(override.lstrip("+").partition("=")[0] == key for override in HydraConfig.get().overrides.task)


class SweepFolder(Callback):
    """Give every multirun a folder of its own."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make `hydra.sweep.dir`, under another name where it is taken, or claim the one that the user named.

        Raises:
            SystemExit: The one that was named holds a multirun; Hydra turns any other error into a warning.
        """
        folder, settings = Path(config.hydra.sweep.dir), config.hydra.overrides.hydra
        if any(override.lstrip("+").startswith("hydra.sweep.dir=") for override in settings):
            try:
                claim_sweep(folder)
            except (ValueError, OSError) as error:
                print(f"error: {error}", file=sys.stderr)
                raise SystemExit(WRONG_INPUT) from error
            return
        made = new_folder(folder)
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.sweep.dir = str(made)
            settings.append(f"hydra.sweep.dir={made}")  # every run composes it anew


class SweepTable(Callback):
    """Print one table of the runs at the end of a multirun, and write it into the sweep's folder."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the table of `hydra.sweep.dir`."""
        # Imported here: Hydra builds callbacks before it composes, and wrong input must be told first.
        report, rich = (import_module(name) for name in (f"{NAME}.report.sweep", "rich.console"))
        report.write_table(Path(config.hydra.sweep.dir), rich.Console())


def claim_sweep(folder: Path) -> None:
    """Take a folder for one multirun.

    Raises:
        ValueError: It holds one, or runs.
    """
    make_folder(folder)
    taken = any(path.name.isdigit() for path in folder.iterdir())
    try:
        (folder / "multirun.yaml").touch(exist_ok=False)  # Hydra writes into it
    except FileExistsError:
        taken = True
    if taken:
        raise ValueError(f"{folder} holds a multirun already: choose another hydra.sweep.dir")
