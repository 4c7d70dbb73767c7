"""The data gate before a training, and the page that a refused training leaves in its run folder."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path

from ..data import ImageData
from ..data.quality import Audit, check
from ..report import write_audit
from ..tasks import VisionTask, examine_labels

log = logging.getLogger(__name__)

PAGE, CONTENT = "audit.html", "audit.json"


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


def write_refusal(folder: Path, audit: Audit, data: ImageData, command: str) -> str:
    """Write the page of an audit that stops a training, and return the one line that refuses the training.

    Args:
        folder: The run folder.
        audit: What the gate found.
        data: The images.
        command: The command line of the training.
    """
    date = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}"
    write_audit(folder, audit, data.index, data.image.bit_depth, date, command)
    kinds = ", ".join(finding.kind for finding in audit.stopping)
    allow = f", or allow what is known and wanted: 'data.allow=[{','.join(audit.allowable)}]'" * bool(audit.allowable)
    return f"the data gate stops this training ({kinds}): see {folder / PAGE}{allow}"


def remove_refusal(folder: Path) -> None:
    """Remove the page of an earlier training that was refused here: it is not about the one that begins now."""
    # A page of `audit output=DIR` that passed belongs to the user, and stays.
    try:
        refused = not json.loads((folder / CONTENT).read_text(encoding="utf-8"))["passed"]
    except (OSError, ValueError, KeyError, TypeError):  # none, or not written by an audit
        return
    if refused:
        for name in (PAGE, CONTENT):
            (folder / name).unlink(missing_ok=True)
