"""Audit: `python -m src.audit data=folder data.root=DIR` looks at a data set before it is trained on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from .atomic import nothing_left
from .command import PromiseError, requires, run
from .overrides import as_typed
from .package import shell_line

if __name__ == "__main__":
    run("audit", needs="torch")

with requires("train"):
    from rich.console import Console

    from .data import ImageData
    from .data.quality import check
    from .folders import output_folder
    from .report import print_audit, write_audit
    from .targets import instantiate
    from .tasks import examine_labels


def main(config: DictConfig) -> None:
    """Read every image, run every check, and write the page; end with 1 when a training would stop."""
    backbone = instantiate(config.backbone)
    data: ImageData = instantiate(config.data)(image=backbone.image_spec())
    data.setup("audit")
    audit = check(data.collection(examine_labels(backbone, data)), data.allow)
    folder = output_folder("output", Path(config.output))
    typed = map(as_typed, HydraConfig.get().overrides.task)
    command = shell_line("audit", *typed)
    date = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}"
    with nothing_left(folder):
        write_audit(folder, audit, data.index, data.image.bit_depth, date, command)
    print_audit(Console(), audit, folder)
    if audit.stopping:
        kinds = [finding.kind for finding in audit.stopping]
        known = ",".join(audit.allowable)
        allow = f"; what is known and wanted can be allowed: 'data.allow=[{known}]'" if known else ""
        raise PromiseError(f"a training would stop ({', '.join(kinds)}){allow}")
