"""Many lines on one base: export, compare line by line, and put the bundle in place only when every line passed."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from ..atomic import make_folder
from ..edge.golden import Golden
from ..edge.lines import ADAPTER_SUFFIX, GOLDEN_SUFFIX, ActiveAdapter
from ..edge.manifest import MODEL, Line, Manifest
from ..edge.preprocess import load
from ..edge.profile import FITS
from ..edge.session import Outputs
from ..edge.signature import Signer
from ..lora import Inputs, inputs_of, merge
from ..spec import ImageSpec, TaskSpec
from .bundle import is_empty, require_replaceable, write_bundle, write_refusal
from .decisions import Samples, targets_of
from .gate import Verdict
from .graph import ExportOptions, export_onnx
from .limits import Budget, limits
from .parity import judge
from .golden_samples import choose_golden
from .shared_graph import export_base, write_line
from .shipping import camera_size
from .speed import measure_speed
from .stages import Stage, onnx_stage, run_stages, torch_stage

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class LineCandidate:
    """A trained adapter that asks to be shipped beside others.

    Attributes:
        build: Gives its model, adapters unmerged, on the CPU, in fp32 and eval mode.
        task: Classes and views.
        samples: Path and class name of the pictures to compare, by split; the first split decides.
        provenance: Where it comes from, as JSON-ready values.
    """

    build: Callable[[], nn.Module]
    task: TaskSpec
    samples: Mapping[str, Samples]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Shared:
    """What the gate measured of a line.

    Attributes:
        verdict: Against its trained model; the speed is against the file in which it is merged.
        adapter_bytes: Size of its `.onnx_adapter`.
        merged_bytes: Size of the file in which it is merged.
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
    lines: Mapping[str, LineCandidate],
    image: ImageSpec,
    folder: Path,
    options: ExportOptions,
    provenance: dict[str, Any],
    sign: Signer | None = None,
) -> dict[str, Shared]:
    """Export the base that all `lines` share and an adapter file for each, and replace `folder` when all passed.

    A refused bundle leaves `folder` as it was, and its figures in `<folder>-refused/parity.json`.

    Args:
        lines: The lines by name; all were trained on one base, for one kind of task with the same views.
        image: How a picture becomes the network's input, for all.
        folder: The bundle's folder.
        options: Profile and opset.
        provenance: Where the base comes from, as JSON-ready values.
        sign: Signs the bundle, where it is to be signed.

    Returns:
        What the gate measured, by line.

    Raises:
        ValueError: `folder` holds something else, a name cannot name files, a line learnt what cannot be shared, the
            model cannot be exported, or a picture cannot be used.
    """
    folder = folder.resolve()
    refusal = folder.with_name(f"{folder.name}-refused")
    require_replaceable(folder, refusal, sign)
    _require_ours(folder)
    _require_names(lines)
    for line in lines.values():
        for split, pictures in line.samples.items():
            targets_of(pictures, line.task, split)
    make_folder(folder.parent)
    with tempfile.TemporaryDirectory(prefix=".edge-", dir=folder.parent) as work:
        trial = _Trial(lines, image, options, Path(work))
        trial.export(provenance)
        found = {name: trial.judge(name) for name in lines}
        parity = _summary(found)
        if parity["passed"]:
            write_bundle(folder, trial.contents(), parity, trial.manifest(found, parity, provenance), sign)
            shutil.rmtree(refusal, ignore_errors=True)  # an earlier refusal is over
        else:
            write_refusal(refusal, parity)
    return found


def _require_ours(folder: Path) -> None:
    """Refuse to replace what is no earlier result of the same kind, whole and alone in its folder."""
    if folder.exists() and not is_empty(folder):
        try:
            manifest = Manifest.read(folder)
            manifest.read_files(folder)
        except (ValueError, OSError) as error:
            raise ValueError(
                f"{folder} is there and is no whole bundle ({error}): choose another output=DIR"
            ) from error
        if not manifest.lines:
            raise ValueError(f"{folder} is the bundle of one line: choose another output=DIR")


def _require_names(lines: Mapping[str, LineCandidate]) -> None:
    """Refuse names that could not name the files, on any disk."""
    for name in lines:
        if not _NAME.fullmatch(name):
            raise ValueError(f"a line's name is made of letters, digits, _ and -, not {name!r}")
    if len({name.lower() for name in lines}) < len(lines):
        raise ValueError(f"names of lines must differ in more than capitals: {', '.join(lines)}")


class _Trial:
    """Several lines on their way through the gate."""

    def __init__(self, lines: Mapping[str, LineCandidate], image: ImageSpec, options: ExportOptions, folder: Path) -> None:
        self._lines, self._image, self._folder = lines, image, folder
        paths = [path for line in lines.values() for samples in line.samples.values() for path, _ in samples]
        taken = camera_size(paths, image) if options.profile == "u8-matmul" else None
        self._options = replace(options, taken=taken)
        self._expected: dict[str, dict[str, Outputs]] = {}

    def export(self, provenance: dict[str, Any]) -> None:
        """Write the base, an adapter file of every line, and the file in which it is merged, to compare with."""
        learnt: dict[str, Inputs] = {}
        for name, line in self._lines.items():
            model = line.build()
            try:
                learnt[name] = inputs_of(model)
            except ValueError as error:
                raise ValueError(f"{name}: {error}: export it by itself") from error
            stage = torch_stage("trained", model, self._image, line.task)
            self._expected[name] = {split: self._run(stage, name, split) for split in line.samples}
            export_onnx(merge(model), self._image, line.task, self._merged(name), self._options, line.provenance)
        first = next(iter(self._lines.values()))
        both = {name: (learnt[name], line.task) for name, line in self._lines.items()}
        export_base(first.build(), both, self._image, self._folder / MODEL, self._options, provenance)
        for name, inputs in learnt.items():
            write_line(inputs, self._adapter(name))

    def judge(self, name: str) -> Shared:
        """Compare a line with its trained model, on every split."""
        line, stage = self._lines[name], self._stage(name)
        allowed = limits("fp32", self._options.profile, Budget())
        first, *others = (
            judge(
                samples, line.task, self._expected[name][split], self._run(stage, name, split), "fp32", split, allowed
            )
            for split, samples in line.samples.items()
        )
        picture = load(self._paths(name)[0], self._image, FITS[self._options.profile])
        merged, base = self._merged(name).read_bytes(), (self._folder / MODEL).read_bytes()
        speed = measure_speed(merged, base, picture, None, ActiveAdapter(self._adapter(name).read_bytes()))
        verdict = Verdict("fp32", (first,), {parity.split: (parity,) for parity in others}, speed)
        return Shared(verdict, self._adapter(name).stat().st_size, len(merged))

    def contents(self) -> dict[str, bytes]:
        """Return the bundle's own files by name."""
        files = {MODEL: (self._folder / MODEL).read_bytes()}
        for name in self._lines:
            files[f"{name}{ADAPTER_SUFFIX}"] = self._adapter(name).read_bytes()
            files[f"{name}{GOLDEN_SUFFIX}"] = self._golden(name).to_bytes()
        return files

    def manifest(self, found: Mapping[str, Shared], parity: dict[str, Any], provenance: dict[str, Any]) -> Manifest:
        """Return the manifest of a bundle that holds no files yet."""
        lines = {
            name: Line(line.task, line.provenance, found[name].verdict.summary()) for name, line in self._lines.items()
        }
        worst = {key: parity[key] for key in next(iter(lines.values())).parity}
        return Manifest({}, self._image, None, "fp32", self._options.profile, provenance, worst, lines)

    def _golden(self, name: str) -> Golden:
        task = self._lines[name].task
        profile = self._options.profile
        return choose_golden(self._stage(name).run, self._paths(name), self._image, task, "fp32", profile)

    def _stage(self, name: str) -> Stage:
        base = (self._folder / MODEL).read_bytes()
        views, adapter = len(self._lines[name].task.views), ActiveAdapter(self._adapter(name).read_bytes())
        return onnx_stage("fp32", base, self._options.profile, views, adapter)

    def _run(self, stage: Stage, name: str, split: str) -> Outputs:
        (outputs,) = run_stages([stage], self._paths(name, split), self._image)
        return outputs

    def _paths(self, name: str, split: str | None = None) -> Sequence[Path]:
        samples = self._lines[name].samples
        return [path for path, _ in samples[split or next(iter(samples))]]

    def _merged(self, name: str) -> Path:
        return self._folder / f"{name}-merged.onnx"

    def _adapter(self, name: str) -> Path:
        return self._folder / f"{name}{ADAPTER_SUFFIX}"


def _summary(found: Mapping[str, Shared]) -> dict[str, Any]:
    """Return what `parity.json` holds: the figures of a line that failed or is furthest off, then those of each."""
    parities = [line.verdict.parity for line in found.values()]
    worst = max(parities, key=lambda each: (not each.passed, each.max_abs_logit_diff / (each.logit_scale or 1.0)))
    reasons = [f"{name}: {reason}" for name, line in found.items() for reason in line.verdict.reasons()]
    figures = worst.to_dict() | {"passed": not reasons, "precision": "fp32", "reasons": reasons}
    return figures | {"lines": {name: line.to_dict() for name, line in found.items()}}
