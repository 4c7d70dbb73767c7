"""The data gate before a training, and the page that a refused training leaves in its run folder."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path

from ..command import one_line
from ..data import ImageData
from ..data.quality import Audit, check
from ..report import write_audit
from ..tasks import VisionTask, examine_labels, run_folder

log = logging.getLogger(__name__)

# The page's name; the second where the user's own page (`audit output=DIR`) has the first.
NAMES = ("audit", "audit-refused")
_ENDS = (".html", ".json")
MARK = "refused_training"  # in the JSON of a page that a refused training left


def audit_data(task: VisionTask, data: ImageData, resume: bool) -> Audit:
    """Run the checks of the data gate, and log every finding.

    Args:
        task: What is to be trained; labels are compared with the frozen features that its head starts from.
        data: The images, after `setup`.
        resume: Whether the training goes on, so that its head has started long ago.
    """
    labels = examine_labels(task.setting.backbone, data, None if resume else task.frozen_features(data))
    log.info("labels: %s", labels.describe())
    audit = check(data.collection(labels), data.allow)
    for finding in audit.findings:
        log.warning("data: %s (%s)", finding.text, finding.kind)
    return audit


def refuse(wanted: Path, named: bool, resume: bool, audit: Audit, data: ImageData, command: str) -> str:
    """Write the page of an audit that stops a training, and return the one line that refuses the training.

    Args:
        wanted: Where the run belongs.
        named: Whether the user named it, as in `run_folder`.
        resume: Whether the training in it goes on.
        audit: What the gate found.
        data: The images.
        command: The command line of the training.
    """
    try:
        with run_folder(wanted, named, resume) as folder:
            seen, unwritten = f": see {write_refusal(folder, audit, data, command)}", ""
    except (OSError, ValueError) as error:  # the data are refused all the same
        seen, unwritten = "", f"; the page could not be written: {one_line(error)}"
    kinds = ", ".join(finding.kind for finding in audit.stopping)
    allow = f", or allow what is known and wanted: 'data.allow=[{','.join(audit.allowable)}]'" * bool(audit.allowable)
    return f"the data gate stops this training ({kinds}){seen}{allow}{unwritten}"


def write_refusal(folder: Path, audit: Audit, data: ImageData, command: str) -> Path:
    """Write the page into the run folder, and return its path."""
    remove_refusal(folder)
    taken = any((folder / f"{NAMES[0]}{end}").exists() for end in _ENDS)
    name = NAMES[taken]
    date = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}"
    try:
        write_audit(folder, audit, data.index, data.image.bit_depth, date, command, name, {MARK: True})
    except BaseException:
        remove_refusal(folder)  # the JSON without its page
        raise
    return folder / f"{name}.html"


def remove_refusal(folder: Path) -> None:
    """Remove the page of an earlier training that was refused here: it is not about the one that begins now."""
    for name in NAMES:
        if _is_ours(folder, name):
            for end in _ENDS:  # the mark last
                (folder / f"{name}{end}").unlink(missing_ok=True)


def _is_ours(folder: Path, name: str) -> bool:
    """Return whether a refused training left the page of this name."""
    try:
        content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or no JSON
        return False
    return isinstance(content, dict) and content.get(MARK) is True
