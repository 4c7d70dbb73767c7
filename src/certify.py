"""Certify: `python -m src.certify model=BUNDLE escape_rate=0.05` puts thresholds with a promise into a bundle."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
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
    from .decision import (
        CannotPromise,
        Fitted,
        Judgements,
        Objective,
        fit_decision,
        needs_validation,
        require_fitting,
    )
    from .deploy.decide import write_decision
    from .edge import Runtime, find_bundle, read_signer
    from .edge.manifest import MODEL, Manifest, sha256
    from .edge.signature import SIGNATURE, Signer
    from .evaluation import own_data
    from .lot import JUDGED, other_data, read_lot, require_heeded
    from .report import render_certificate, say_certificate
    from .tasks import Trained, require_unseen
    from .typed import given

log = logging.getLogger(__name__)

LOT = "lot"  # in place of the name of a split, where later images certify
CERTIFICATE, ESTIMATE = "certificate", "estimate"


@dataclass(frozen=True)
class Evidence:
    """The images that certify.

    Attributes:
        data: The images, as they were read.
        split: The split of `data` that certifies.
        name: What the certificate calls it.
        is_unseen: Whether it is known of each that it was neither trained nor validated on.
    """

    data: ImageData
    split: str
    name: str
    is_unseen: bool


def main(config: DictConfig) -> None:
    """Score the images with the file that ships, fit, and put the decision into the bundle.

    Raises:
        PromiseError: The images do not prove what was asked for; the bundle stays as it was.
    """
    asked, bundle = _objective(config), find_bundle(str(config.model)).resolve()
    estimates = config.split == "val"
    sign = _signer(config, bundle, estimates)
    runtime, manifest = Runtime(bundle), Manifest.read(bundle)
    if runtime.lines:
        raise ValueError(f"{bundle} holds several lines: export each by itself to certify it")
    require_fitting(runtime.task, asked)
    trained = find_run(bundle, manifest.provenance.get("adapter_sha256"))
    images = _images(config, trained, runtime, bundle)
    shown, copies = judge_pictures(runtime, images.data, images.split)
    others = _validation(trained, runtime, images, shown) if needs_validation(runtime.task, asked) else None
    count = partial(count_test, bundle.parent if trained else None, images.data.fingerprint, images.name)
    try:
        fitted = fit_decision(runtime.task, asked, shown, others)
    except CannotPromise as error:
        count()  # a refusal is a look at the images too
        raise PromiseError(str(error)) from error
    known = _certificate(asked, fitted, images, manifest, len(shown.truths), copies) | {"tests_on_this_data": count()}

    def beside(name: str, model: bytes) -> Mapping[str, bytes]:
        return render_certificate(name, known | {"model_sha256": sha256(model)}, fitted, shown.groups)

    if estimates:
        write_files(bundle.parent, beside(ESTIMATE, (bundle / MODEL).read_bytes()))
        told = f"estimate: {bundle.parent / f'{ESTIMATE}.html'}; the bundle stays as it was"
    else:
        write_decision(bundle, fitted.decision, sign=sign, beside=partial(beside, CERTIFICATE))
        told = f"bundle: {bundle}{', signed' if sign else ''}; certificate: {bundle / f'{CERTIFICATE}.html'}"
    print(say_certificate(known))
    print(told)


def _signer(config: DictConfig, bundle: Path, estimates: bool) -> Signer | None:
    if estimates and config.sign is not None:
        raise ValueError("split=val changes no bundle, so that nothing is signed: leave out sign=")
    if config.sign is not None:
        return read_signer(str(config.sign))
    if (bundle / SIGNATURE).exists() and not estimates:
        raise ValueError(f"{bundle} is signed: sign the new one too, by sign=KEY")
    return None


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


def _images(config: DictConfig, trained: Trained | None, runtime: Runtime, bundle: Path) -> Evidence:
    """Return the images to certify by.

    Raises:
        ValueError: There are none that the model has not seen.
    """
    if "_target_" in (config.get("data") or {}):
        return _lot(config, trained, runtime, bundle)
    if trained is None:
        raise ValueError(
            f"{bundle} is apart from its run, whose images would certify it: give the run folder as model=, or images "
            "that it has never seen (data=folder data.root=LOT)"
        )
    data, split = own_data(trained, given(config.get("data")), judging=True), str(config.split)
    if not data.samples(split):
        raise ValueError(
            f"the run of {trained.path} has no calibration images: train with data.calibration_fraction=0.25, certify "
            "by a later lot (data=folder data.root=LOT), or estimate by split=val"
        )
    return Evidence(data, split, split, split != "val" and require_unseen(trained, data, split))


def _lot(config: DictConfig, trained: Trained | None, runtime: Runtime, bundle: Path) -> Evidence:
    require_heeded(HydraConfig.get().overrides.task)
    if config.split == "val":
        raise ValueError("split=val is of the run's own images: leave it out with data=")
    if config.data.get("limit") is not None:
        raise ValueError("data.limit would certify by a part of the lot: leave it out, or name a smaller lot")
    if trained is not None:
        data, told = other_data(trained, config.data, certifies=True)
        return Evidence(data, JUDGED, LOT, told)
    log.warning("%s is apart from its run: images that it was trained on would certify unawares", bundle)
    return Evidence(read_lot(config.data, runtime.image, runtime.task, str(bundle)), JUDGED, LOT, False)


def _validation(trained: Trained | None, runtime: Runtime, images: Evidence, shown: Judgements) -> Judgements | None:
    """Return what the file says of the run's validation images; None where the run is not there."""
    if images.split == "val" or trained is None:
        return shown if images.split == "val" else None
    data = own_data(trained, judging=True) if images.name == LOT else images.data
    return judge_pictures(runtime, data, "val")[0]


def _certificate(
    asked: Objective, fitted: Fitted, images: Evidence, manifest: Manifest, counted: int, copies: int
) -> dict[str, Any]:
    """Return what the certificate states, but for the count of tests and the hash of the file, which holds it."""
    return {
        "estimate": images.name == "val",
        "objective": asked.to_dict(),
        **fitted.figures,
        "task": manifest.task.kind,
        "pass_classes": list(fitted.decision.pass_classes),
        "split": images.name,
        "images": counted,
        "copies_left_out": copies,
        "files_left_out": len(images.data.left_out),
        "data": images.data.index.name,
        "data_fingerprint": images.data.fingerprint,
        "seen_images_excluded": images.is_unseen,
        "precision": manifest.precision,
        "unknown": None,
        "date": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
        "command": shell_line("certify", *_printable(HydraConfig.get().overrides.task)),
        "versions": versions(),
    }


def _printable(overrides: Sequence[str]) -> list[str]:
    """Return the overrides as they are typed; where the private key lies stands on no sheet that others read."""
    return ["sign=KEY" if word.lstrip("+").startswith("sign=") else as_typed(word) for word in overrides]
