"""Audit: `python -m src.audit data=folder data.root=DIR` looks at a data set before it is trained on."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.command import DATA_PATHS, PromiseError, as_typed, requires, run

with requires("train"):
    from hydra.utils import instantiate
    from rich.console import Console

    from src.data import ImageData
    from src.data.quality import check
    from src.report import print_audit, write_audit
    from src.tasks import examine_labels


def main(config: DictConfig) -> None:
    """Read every image, run every check, and write the page; end with 1 when a training would stop."""
    backbone = instantiate(config.backbone)
    # Broken images are a finding here, and no reason to end.
    data: ImageData = instantiate(config.data, on_error="skip")(image=backbone.image_spec())
    data.setup()
    audit = check(data.collection(examine_labels(backbone, data)), data.allow)
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    typed = map(as_typed, HydraConfig.get().overrides.task)
    command = shlex.join(["python", "-m", "src.audit", *typed])
    date = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}"
    write_audit(folder, audit, data.listing, data.image.bit_depth, date, command)
    print_audit(Console(), audit, folder)
    if audit.stopping:
        raise PromiseError(
            f"{len(audit.stopping)} findings would stop a training; what is known and wanted can be allowed: "
            f"'data.allow=[{','.join(finding.kind for finding in audit.stopping)}]'"
        )


if __name__ == "__main__":
    run(main, "audit", paths=(*DATA_PATHS, "output", "backbone.weights"))
