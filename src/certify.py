"""Certify: `python -m src.certify model=BUNDLE escape_rate=0.05` puts thresholds with a promise into a bundle."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from .atomic import write_files
from .command import PromiseError, requires, run, versions
from .overrides import as_typed
from .package import shell_line

if __name__ == "__main__":
    run("certify", needs="torch")

with requires("train"):
    from .certifying import count_test, find_run, judge_pictures
    from .data import ImageData
    from .decision import CannotPromise, Fitted, Objective, fit_decision
    from .deploy.decide import write_decision
    from .edge import Runtime, find_bundle, read_signer
    from .edge.manifest import MODEL, Manifest, sha256
    from .edge.signature import SIGNATURE
    from .evaluation import own_data
    from .lot import other_data, read_lot, require_heeded
    from .report import render_certificate, say_certificate
    from .tasks import Trained, require_unseen
    from .typed import given

log = logging.getLogger(__name__)

LOT = "lot"  # in place of the name of a split, where later images certify
CERTIFICATE, ESTIMATE = "certificate", "estimate"


def main(config: DictConfig) -> None:
    """Score the images with the file that ships, fit, and put the decision into the bundle.

    Raises:
        PromiseError: The images do not prove what was asked for; the bundle stays as it was.
    """
    asked, bundle = _objective(config), find_bundle(str(config.model)).resolve()
    sign = None if config.sign is None else read_signer(str(config.sign))
    estimates = config.split == "val"
    if sign is None and (bundle / SIGNATURE).exists() and not estimates:
        raise ValueError(f"{bundle} is signed: sign the new one too, by sign=KEY")
    runtime, manifest = Runtime(bundle), Manifest.read(bundle)
    if runtime.lines:
        raise ValueError(f"{bundle} holds several lines: export each by itself to certify it")
    trained = find_run(bundle, manifest.provenance.get("adapter_sha256"))
    data, split = _images(config, trained, runtime, bundle)
    shown, others = judge_pictures(runtime, data.samples(_held(split))), None
    if trained is not None and split != LOT and data.samples("val"):
        others = judge_pictures(runtime, data.samples("val")) if _needs_val(runtime, asked) else None
    tests = count_test(bundle.parent if trained else None, data.fingerprint, split)
    try:
        fitted = fit_decision(runtime.task, asked, shown, others)
    except CannotPromise as error:
        raise PromiseError(str(error)) from error
    known = _certificate(asked, fitted, data, split, manifest, tests, trained)
    drawn = render_certificate
    if estimates:
        content = drawn(ESTIMATE, known | {"model_sha256": sha256((bundle / MODEL).read_bytes())}, fitted, shown.groups)
        write_files(bundle.parent, content)
        print(say_certificate(known))
        print(f"estimate: {bundle.parent / f'{ESTIMATE}.html'}; the bundle stays as it was")
        return

    def beside(model: bytes) -> Mapping[str, bytes]:
        return drawn(CERTIFICATE, known | {"model_sha256": sha256(model)}, fitted, shown.groups)

    write_decision(bundle, fitted.decision, sign=sign, beside=beside)
    print(say_certificate(known))
    print(f"bundle: {bundle}{', signed' if sign else ''}; certificate: {bundle / f'{CERTIFICATE}.html'}")


def _objective(config: DictConfig) -> Objective:
    if config.split not in ("calibration", "val"):
        raise ValueError(f"split={config.split} must be calibration, or val for an estimate")
    chosen: dict[str, Any] = {str(name): value for name, value in config.decision.items()}
    for name, value in chosen.items():
        if not OmegaConf.is_list(value):
            raise ValueError(f"decision.{name}={value} must be a list, such as [a,b]")
    names = {name: tuple(map(str, chosen[name])) for name in ("pass_classes", "labels")}
    limits = tuple(chosen["limits"])
    for limit in limits:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, float))):
            raise ValueError(f"decision.limits={list(limits)} must be two numbers, or null for a side without a limit")
    return Objective(config.escape_rate, config.overkill_rate, config.confidence, limits=limits, **names)


def _images(config: DictConfig, trained: Trained | None, runtime: Runtime, bundle: Path) -> tuple[ImageData, str]:
    """Return the images to certify by, and what they are.

    Raises:
        ValueError: There are none that the model has not seen.
    """
    if "_target_" in (config.get("data") or {}):
        require_heeded(HydraConfig.get().overrides.task)
        if config.split == "val":
            raise ValueError("split=val is of the run's own images: leave it out with data=")
        if trained is not None:
            return other_data(trained, config.data, certifies=True), LOT
        log.warning("%s is apart from its run: images that it was trained on would certify unawares", bundle)
        return read_lot(config.data, runtime.image, runtime.task, str(bundle)), LOT
    if trained is None:
        raise ValueError(
            f"{bundle} is apart from its run, whose images would certify it: give the run folder as model=, or images "
            "that it has never seen (data=folder data.root=LOT)"
        )
    data = own_data(trained, given(config.get("data")), judging=True)
    if not data.samples(config.split):
        raise ValueError(
            f"the run of {trained.path} has no calibration images: train with data.calibration_fraction=0.25, certify "
            "by a later lot (data=folder data.root=LOT), or estimate by split=val"
        )
    if config.split == "calibration":
        require_unseen(trained, data, certifies=True)
    return data, str(config.split)


def _held(split: str) -> str:
    return "test" if split == LOT else split


def _needs_val(runtime: Runtime, asked: Objective) -> bool:
    return runtime.task.positive is None and not asked.pass_classes


def _certificate(
    asked: Objective,
    fitted: Fitted,
    data: ImageData,
    split: str,
    manifest: Manifest,
    tests: int,
    trained: Trained | None,
) -> dict[str, Any]:
    """Return what the certificate states, but for the hash of the file, which holds what is certified."""
    return {
        "estimate": split == "val",
        "objective": asked.to_dict(),
        **fitted.figures,
        "task": manifest.task.kind,
        "pass_classes": list(fitted.decision.pass_classes),
        "split": split,
        "images": len(data.samples(_held(split))),
        "data": data.index.name,
        "data_fingerprint": data.fingerprint,
        "seen_images_excluded": trained is not None,
        "precision": manifest.precision,
        "unknown": None,
        "tests_on_this_data": tests,
        "date": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
        "command": shell_line("certify", *_printable(HydraConfig.get().overrides.task)),
        "versions": versions(),
    }


def _printable(overrides: Sequence[str]) -> list[str]:
    """Return the overrides as they are typed; where the private key lies stands on no sheet that others read."""
    return ["sign=KEY" if word.startswith("sign=") else as_typed(word) for word in overrides]
