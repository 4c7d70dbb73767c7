"""Provenance of the training data: recorded in the run, and verified by resume, evaluate and export."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from ..atomic import write_text
from ..data import ImageData
from .restore import Trained

log = logging.getLogger(__name__)

NAME = "data.json"


def used_data(data: ImageData) -> dict[str, str]:
    """Return the identity of the data and of the splits, for the provenance of a trained file."""
    return {"name": data.index.name, "fingerprint": data.fingerprint, "membership": data.membership}


def note_data(folder: Path, data: ImageData) -> None:
    """Write `data.json` into the run folder: `used_data`, and the contents (SHA-256) to train and to validate on."""
    # Contents alone say which images a training has seen, wherever they are moved.
    seen = {"trained": sorted(data.contents("train")), "validated": sorted(data.contents("val"))}
    noted: dict[str, Any] = {**used_data(data), **seen}
    write_text(folder / NAME, json.dumps(noted, indent=0) + "\n")


def require_same_images(folder: Path, data: ImageData) -> None:
    """Refuse to resume a run with other images than it began with, before any is decoded.

    Raises:
        ValueError: The run began with others.
    """
    noted = _read_note(folder)
    if noted is None:
        log.warning("%s did not note its data: it is taken to be the same", folder)
    elif noted["fingerprint"] != data.index.fingerprint:
        raise ValueError(
            f"resume: the images of {data.index.root} are not those that {folder} began with: bring them back, say "
            "where those lie now (data.root=DIR or its like), or begin a new training"
        )


def require_same_cut(folder: Path, data: ImageData) -> None:
    """Refuse to resume a run with other splits than it began with.

    Raises:
        ValueError: The run began with others.
    """
    noted = _read_note(folder)
    if noted is not None and noted["membership"] != data.membership:
        raise ValueError(
            f"resume: the images are cut into other splits than those that {folder} began with: bring the split file "
            "of the training back (data.split_file=FILE says where it lies now), or begin a new training"
        )


def require_own_images(trained: Trained, data: ImageData, named: str) -> None:
    """Refuse images that the user says are those of the training, and that are others, before any is decoded.

    Args:
        trained: The file.
        data: The images.
        named: How the user named them, such as `data.root=DIR`.

    Raises:
        ValueError: They are others.
    """
    then = trained.provenance.get("data", {}).get("fingerprint")
    try:
        found = data.index.fingerprint
    except ValueError as error:
        raise ValueError(f"{named} does not hold what {trained.path} was trained on: {error}") from error
    if then is None:
        log.warning("%s is of a version that did not note its images: %s is taken to be right", trained.path, named)
    elif found != then:
        raise ValueError(
            f"{named} holds other images, names or labels than those that {trained.path} was trained on"
            f"{_count_shared(trained, data)}: name the place of those, or judge these as new ones by evaluate with "
            "data=folder (or table, huggingface)"
        )


def require_own_cut(trained: Trained, data: ImageData, judging: bool) -> None:
    """Refuse splits in which an image that was trained on could be judged.

    Args:
        trained: The file.
        data: What it was trained on, cut again.
        judging: Whether figures are to come of it; else other images are told and taken.

    Raises:
        ValueError: Equal images are cut otherwise, or some were trained on, or that cannot be told.
    """
    then = trained.provenance.get("data", {})
    name, changed = data.index.name, data.fingerprint != then.get("fingerprint")
    if changed:
        log.warning("the images of %s are not those of the training any more: figures will differ", name)
    if "membership" not in then:
        log.warning("%s is of a version that did not note its splits: they are taken to be the same", trained.path)
    elif not changed and then["membership"] != data.membership:
        raise ValueError(
            f"{name} is cut into other splits than in the training of {trained.path}, so an image that was trained on "
            "could be judged: use the version of Graft and the split file of the training (data.split_file=FILE says "
            "where it lies now), or train anew"
        )
    elif changed and judging and not require_unseen(trained, data):
        raise ValueError(
            f"the images of {name} have changed, and beside {trained.path} is no {NAME} of its run, so one that was "
            "trained on may be in val or test now: evaluate the run folder, or judge by other images "
            "(data=folder data.root=NEW)"
        )


def require_unseen(trained: Trained, data: ImageData, certifying: str | None = None) -> bool:
    """Refuse to judge images that were trained on, known by their content.

    Args:
        trained: The file.
        data: The images.
        certifying: The split that a promise is to come of; then its images alone count, and none of them may have been
            validated on either.

    Returns:
        Whether the run noted what it was trained on, and where a promise comes of it validated on, so that this could
        be told.

    Raises:
        ValueError: Some were.
    """
    noted = _read_note(Path(trained.path).parent)
    if noted is None or noted["membership"] != trained.provenance.get("data", {}).get("membership"):
        return False
    seen = {*noted["trained"], *(noted.get("validated", ()) if certifying else ())}
    # By content: a copy under another name would be judged as unseen.
    judged = [data.contents(split) for split in ((certifying,) if certifying else ("val", "test", "calibration"))]
    both = sorted(path for contents in judged for content, path in contents.items() if content in seen)
    if both:
        used = "trained or validated on" if certifying else "trained on"
        raise ValueError(
            f"images to judge were {used} ({len(both)}, {both[0]} first): leave them out, or judge by other "
            "images (data=folder data.root=NEW); a training with data.split_file=FILE holds every image where it is"
        )
    return certifying is None or "validated" in noted


def _count_shared(trained: Trained, data: ImageData) -> str:
    """Return in words how many of the training images are in `data`, where the run recorded them."""
    noted = _read_note(Path(trained.path).parent)
    if noted is None or not noted["trained"]:
        return ""
    there = set(noted["trained"]) & set(data.index.digests)
    return f" ({len(there):,} of the {len(noted['trained']):,} training images are there)"


def _read_note(folder: Path) -> dict[str, Any] | None:
    """Return what a run recorded, or None."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        noted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if set(noted) >= {"name", "fingerprint", "membership", "trained"}:
            return noted
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): bring it back, or remove it") from error
    return None
