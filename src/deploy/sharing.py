"""Ship several lines on one base: export, compare line by line, and write the bundle if every line passes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..atomic import make_folder
from ..edge.lines import adapter_file
from ..edge.manifest import MODEL, Manifest
from ..edge.session import Outputs
from ..edge.signature import Signer
from ..lora import Inputs, inputs_of
from ..spec import ImageSpec
from .bundle import is_empty, require_replaceable
from .gate import Verdict
from .graph import ExportOptions, export_onnx
from .precisions import FP32
from .shared_graph import export_base, write_line
from .stages import torch_stage
from .trial import Candidate, Trial, camera_size, require_usable, settle

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Shared:
    """What the gate measured of a line.

    Attributes:
        verdict: Against its trained model; the speed is relative to its merged file.
        adapter_bytes: Size of its `.onnx_adapter`.
        merged_bytes: Size of its merged file.
    """

    verdict: Verdict
    adapter_bytes: int
    merged_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return what `parity.json` holds of the line."""
        sizes = {"adapter_bytes": self.adapter_bytes, "merged_bytes": self.merged_bytes}
        return {**self.verdict.to_dict(), **sizes}

    def describe(self) -> str:
        """Return the figures in one line."""
        speed = self.verdict.speed
        assert speed is not None
        return (
            f"{self.verdict.parity.describe()}; {self.adapter_bytes / 1e3:.0f} kB (merged "
            f"{self.merged_bytes / 1e6:.1f} MB), {1 / speed.speedup:.2f} of the merged file's time"
        )


def ship_lines(
    lines: Mapping[str, Candidate],
    image: ImageSpec,
    folder: Path,
    options: ExportOptions,
    provenance: dict[str, Any],
    sign: Signer | None = None,
) -> dict[str, Shared]:
    """Export the base that all `lines` share and an adapter file for each, and replace `folder` if all pass.

    A refused bundle leaves `folder` as it was, with its figures in `<folder>-refused/parity.json`.

    Args:
        lines: The lines by name; all are trained on one base, for one kind of task with the same views.
        image: How a picture becomes the network's input, for all.
        folder: The bundle's folder.
        options: Profile and opset.
        provenance: Where the base comes from, as JSON-ready values.
        sign: Signs the bundle, where it is to be signed.

    Returns:
        What the gate measured, by line.

    Raises:
        ValueError: `folder` holds something else, a name is no file name, a line cannot share a base, the model cannot
            be exported, or a picture cannot be used.
    """
    folder = folder.resolve()
    refusal = folder.with_name(f"{folder.name}-refused")
    require_replaceable(folder, refusal, sign)
    _require_ours(folder)
    _require_names(lines)
    for line in lines.values():
        require_usable(line)
    if options.profile == "u8-matmul":
        options = replace(options, taken=camera_size(list(lines.values()), image))
    make_folder(folder.parent)
    with tempfile.TemporaryDirectory(prefix=".edge-", dir=folder.parent) as work:
        exported = _export(lines, image, Path(work), options, provenance)
        found = {name: _compare(*each) for name, each in exported.items()}
        trials = {name: trial for name, (trial, _) in exported.items()}
        verdicts = {name: line.verdict for name, line in found.items()}
        settle(trials, verdicts, _summary(found), provenance, folder, refusal, sign)
    return found


def _require_ours(folder: Path) -> None:
    """Refuse to replace anything but an earlier shared bundle, complete and alone in its folder."""
    if folder.exists() and not is_empty(folder):
        try:
            manifest = Manifest.read(folder)
            manifest.read_files(folder)
        except (ValueError, OSError) as error:
            raise ValueError(
                f"{folder} is there and is no whole bundle ({error}): choose another output=DIR"
            ) from error
        if not manifest.names:
            raise ValueError(f"{folder} is the bundle of one line: choose another output=DIR")


def _require_names(lines: Mapping[str, Candidate]) -> None:
    """Refuse names that are no file names on every file system."""
    for name in lines:
        if not _NAME.fullmatch(name):
            raise ValueError(f"a line's name is made of letters, digits, _ and -, not {name!r}")
    # Some file systems do not distinguish upper and lower case.
    if len({name.lower() for name in lines}) < len(lines):
        raise ValueError(f"names of lines must differ in more than capitals: {', '.join(lines)}")


def _export(
    lines: Mapping[str, Candidate], image: ImageSpec, folder: Path, options: ExportOptions, provenance: dict[str, Any]
) -> dict[str, tuple[Trial, dict[str, Outputs]]]:
    """Write the base, an adapter file of every line, and its merged file to compare with.

    Returns:
        By name of the line its trial, and the outputs of its trained model by split.
    """
    base, learnt = folder / MODEL, dict[str, Inputs]()
    trials: dict[str, tuple[Trial, dict[str, Outputs]]] = {}
    for name, line in lines.items():
        model = line.build()
        try:
            learnt[name] = inputs_of(model)
        except ValueError as error:
            raise ValueError(f"{name}: {error}: export it by itself") from error
        trial = Trial(line, image, options, folder / f"{name}-merged.onnx", base, folder / adapter_file(name))
        # The trained model runs now, so that no more than one model is in memory.
        stage = torch_stage("trained", model, image, line.task)
        splits = [line.deciding_split, *trial.other_splits()]
        trials[name] = trial, {split: trial.run([stage], split)[0] for split in splits}
        export_onnx(line.merge(model), image, line.task, trial.merged, options, line.provenance)
    first = next(iter(lines.values()))
    both = {name: (learnt[name], line.task) for name, line in lines.items()}
    export_base(first.build(), both, image, base, options, provenance)
    for name, inputs in learnt.items():
        write_line(inputs, folder / adapter_file(name))
    return trials


def _compare(trial: Trial, expected: Mapping[str, Outputs]) -> Shared:
    """Compare a line with its trained model, on every split."""
    stage = trial.stage()
    first, *others = (trial.judge(stage, split, outputs) for split, outputs in expected.items())
    verdict = Verdict(FP32, (first,), {parity.split: (parity,) for parity in others}, trial.measure_speed())
    assert trial.adapter is not None
    return Shared(verdict, trial.adapter.stat().st_size, trial.merged.stat().st_size)


def _summary(found: Mapping[str, Shared]) -> dict[str, Any]:
    """Return what `parity.json` holds: the figures of the worst line, a failed one first, then those of each line."""
    parities = [line.verdict.parity for line in found.values()]
    worst = max(parities, key=lambda each: (not each.passed, each.max_abs_logit_diff / (each.logit_scale or 1.0)))
    reasons = [f"{name}: {reason}" for name, line in found.items() for reason in line.verdict.reasons()]
    figures = worst.to_dict() | {"passed": not reasons, "precision": FP32, "reasons": reasons}
    return figures | {"lines": {name: line.to_dict() for name, line in found.items()}}
