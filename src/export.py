"""Export: `python -m src.export adapter=PATH` ships a trained file as one ONNX bundle, or refuses to.

With `adapters=[PATH,PATH] shared_base=true` several lines share one base, each with an adapter file of its own.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from .command import PromiseError, requires, run, versions

if __name__ == "__main__":
    run("export", needs="torch")

with requires("train"):
    from .atomic import new_folder
    from .data import ImageData
    from .deploy import (
        Budget,
        Candidate,
        ExportOptions,
        Verdict,
        find_precision,
        require_openvino,
        ship,
        ship_lines,
    )
    from .edge import Signer, read_signer
    from .evaluation import compare_views, judge, own_data
    from .tasks import Trained, read_lines, read_trained
    from .typed import given

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Merge, export, and let the gate compare the file with the trained model on the validation images."""
    find_precision(config.precision)
    options = ExportOptions(config.profile, config.opset)
    budget = Budget(config.max_accuracy_drop, config.min_speedup, config.max_accuracy_drop_bound)
    if config.openvino:
        require_openvino(config.profile)
    sign = None if config.sign is None else read_signer(str(config.sign))
    weights = given(config.backbone).get("weights")
    if config.shared_base:
        return _share(config, options, sign, weights)
    trained = read_trained(config.adapter, weights).with_views(config.views)
    data = own_data(trained, given(config.data))
    folder, precision = trained.path.parent, config.precision
    candidate = _candidate(trained, data)
    verdict = ship(candidate, trained.image, folder, precision, options, budget, config.openvino, sign)
    if not verdict.passed:
        raise PromiseError(
            f"the gate refused {precision}: {'; '.join(verdict.reasons())}; "
            f"figures in {folder}/edge-refused-{precision}"
        )
    print(f"gate passed: {verdict.describe()}")
    _remark(verdict)
    _tell_views(trained, data)
    if proven := verdict.evidence():
        print(f"what {verdict.parity.images} accepting images prove: {proven}")
    print(f"bundle: {folder / 'edge'}{', signed' if sign else ''}")


def _share(config: DictConfig, options: ExportOptions, sign: Signer | None, weights: str | None) -> None:
    """Ship one base for several lines."""
    lines = read_lines(config.adapters, weights, config.views)
    anew = {name: given(node) if OmegaConf.is_dict(node) else node for name, node in given(config.data).items()}
    for name in anew:
        if name not in lines:
            raise ValueError(
                f"data.{name} is of no line ({', '.join(lines)}): the data of one are named by +data.LINE.root=DIR"
            )
    data = {name: own_data(trained, anew.get(name, {})) for name, trained in lines.items()}
    candidates = {name: _candidate(trained, data[name]) for name, trained in lines.items()}
    first = next(iter(lines.values()))
    base = {key: value for key, value in _provenance(first).items() if key in ("base", "versions")}
    folder = Path(config.output or new_folder(Path(f"exports/shared/{datetime.now():%Y-%m-%d_%H-%M-%S}")))
    try:
        found = ship_lines(candidates, first.image, folder, options, base, sign)
    finally:
        if not any(folder.iterdir()):  # nothing was shipped into the one that was made here
            folder.rmdir()
    refused = [f"{name}: {reason}" for name, line in found.items() for reason in line.verdict.reasons()]
    if refused:
        raise PromiseError(f"the gate refused {'; '.join(refused)}; figures in {folder}-refused")
    for name, line in found.items():
        print(f"{name}: gate passed: {line.describe()}")
        _remark(line.verdict)
        _tell_views(lines[name], data[name], f"{name}: ")
    size = (folder / "model.onnx").stat().st_size / 1e6
    print(f"bundle: {folder} ({size:.1f} MB for all lines){', signed' if sign else ''}")


def _remark(verdict: Verdict) -> None:
    """Say where the figures that do not decide would have been refused."""
    for text in verdict.remarks():
        log.warning("beyond the limits on %s (the gate decides by the validation images)", text)


def _tell_views(trained: Trained, data: ImageData, line: str = "") -> None:
    """Say what other views than those of the training cost or gain, where they were chosen."""
    if trained.has_other_views:
        model = trained.build()
        print(f"{line}{compare_views(trained, model, data, judge(trained, model, data, ['val']))}")


def _candidate(trained: Trained, data: ImageData) -> Candidate:
    samples = {split: [(sample.path, sample.truth) for sample in data.samples(split)] for split in ("val", "test")}
    calibration = [sample.path for sample in data.samples("train")]
    merge = trained.adaptation.merge
    numbers = data.units()
    units = [numbers[position] for position in data.positions("val")]
    return Candidate(trained.build, trained.task, samples, _provenance(trained), merge, calibration, units)


def _provenance(trained: Trained) -> dict[str, Any]:
    views = {"trained_views": list(trained.own_views)} if trained.has_other_views else {}
    return views | {
        "adapter_sha256": trained.sha256,
        "base": trained.backbone.name,
        "date": trained.provenance["date"],
        "versions": versions(),
    }
