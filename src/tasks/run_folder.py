"""The run folder of one training: created or reused, and locked against other trainings."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..atomic import make_folder, new_folder, write_link
from ..lora.adapter_file import ADAPTER, WEIGHTS
from .progress import CHECKPOINTS, can_resume

log = logging.getLogger(__name__)

LATEST = "latest"
CONFIG = "config.yaml"
_BEGUN = ("overrides.json", CONFIG, "data.json", "history.csv")  # what a training writes before its end
_LOCK = ".training.lock"


@contextmanager
def run_folder(wanted: Path, named: bool, resume: bool = False) -> Iterator[Path]:
    """Make or reuse a run folder, locked against other trainings until the block ends.

    A training that fails before the end of its first epoch leaves nothing.

    Args:
        wanted: Where it belongs.
        named: Whether the user named it; else one of another name is made where it is taken.
        resume: Whether the training in it goes on.

    Raises:
        ValueError: It was named and holds a run, or another training is in it.
    """
    folder, made = (wanted, _make(wanted)) if named or resume else (new_folder(wanted), True)
    with _held(folder):
        if not resume:  # again, now that no other training can write here
            require_new(folder)
        try:
            yield folder
        except Exception:
            if not resume and not can_resume(folder):
                _clear(folder, made)
            raise


def require_name(name: str | None) -> None:
    """Refuse a name that is none, or leads out of `exports`.

    Raises:
        ValueError: It does.
    """
    place = Path(name or "")
    if not place.parts or ".." in place.parts or place.is_absolute():
        given = "null" if name is None else name
        raise ValueError(
            f"name={given} is no folder in exports: choose a name, or put the run elsewhere by run_dir=DIR"
        )


def require_new(folder: Path) -> None:
    """Refuse a folder that holds a run; one that was interrupted in its first epoch may be overwritten.

    Raises:
        ValueError: There is one, or the name is that of the link to the newest run.
    """
    if folder.name == LATEST:
        raise ValueError(f"run_dir={folder} has the name of the link to the newest run: choose another run_dir")
    if can_resume(folder) or is_trained(folder):
        raise ValueError(f"{folder} holds a run already: choose another run_dir, or go on with it by resume={folder}")
    if (folder / CONFIG).exists():
        log.warning("the training in %s was broken off before an epoch was whole: it begins anew", folder)


def is_trained(folder: Path) -> bool:
    """Return whether `folder` holds a trained file."""
    return any((folder / name).exists() for name in (ADAPTER, WEIGHTS))


def point_latest(folder: Path) -> None:
    """Move the relative link `latest` beside `folder` to it, in one step."""
    write_link(folder.parent / LATEST, folder.name)


def _make(folder: Path) -> bool:
    """Make a folder unless it exists, and return whether it was made."""
    if folder.is_dir():
        return False
    make_folder(folder)
    return True


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Lock a run folder; the lock of a killed process is released by the system."""
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(f"another training is running in {folder}: choose another run_dir, or wait for it") from error
    try:
        yield
    finally:
        lock.release()


def _clear(folder: Path, made: bool) -> None:
    """Remove the files of a failed training, and the folder if the training made it."""
    if made:
        shutil.rmtree(folder, ignore_errors=True)
        return
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    for name in _BEGUN:
        (folder / name).unlink(missing_ok=True)
