"""The trial of a file that asks to be shipped: parity, speed and golden samples, and the bundle or the refusal."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn

from ..edge.golden import Golden
from ..edge.lines import ActiveAdapter, adapter_file, golden_file
from ..edge.manifest import MODEL, Line, Manifest
from ..edge.preprocess import load
from ..edge.profile import FITS
from ..edge.session import Outputs
from ..edge.signature import Signer
from ..lora import merge
from ..spec import ImageSpec, TaskSpec
from .bundle import write_bundle, write_refusal
from .decisions import Samples, targets_of, why_no_score
from .gate import Verdict, summarise
from .golden_samples import choose_golden
from .graph import ExportOptions
from .limits import Budget, Limits
from .parity import Parity, judge
from .precisions import FP32, find_precision
from .speed import Speed, measure_speed
from .stages import Stage, onnx_stage, run_stages

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A trained line that asks to be shipped, alone or beside others on one base.

    Attributes:
        build: Returns its trained model, adapters unmerged, on the CPU, in fp32 and eval mode.
        task: Classes and views.
        samples: Path and truth of the images to compare, by split; the first split decides, the others are measured
            and reported.
        provenance: Where it comes from, as JSON-ready values.
        merge: Turns a model of `build` into the plain network to export.
        calibration: Training images, for the activation ranges of int8.
        units: Number of the unit (a group, copies) of each image of the deciding split; None where each is one by
            itself.
    """

    build: Callable[[], nn.Module]
    task: TaskSpec
    samples: Mapping[str, Samples]
    provenance: dict[str, Any] = field(default_factory=dict)
    merge: Callable[[nn.Module], nn.Module] = merge
    calibration: Sequence[Path] = ()
    units: Sequence[int] | None = None

    @property
    def deciding_split(self) -> str:
        """Name of the split by which the gate decides."""
        return next(iter(self.samples))

    def paths(self, split: str | None = None) -> list[Path]:
        """Return the images of a split, by default of the one that decides."""
        return [path for path, _ in self.samples[split or self.deciding_split]]


@dataclass
class Trial:
    """One candidate in the gate.

    Attributes:
        candidate: The line.
        image: How a picture becomes the network's input.
        options: Profile and opset.
        merged: The fp32 file of its merged network, against which the speed is measured.
        file: The file that asks to be shipped.
        adapter: What the file decides with, where it is the base of several lines.
        precision: Number format of the file.
        budget: What int8 may cost and must bring.
    """

    candidate: Candidate
    image: ImageSpec
    options: ExportOptions
    merged: Path
    file: Path
    adapter: Path | None = None
    precision: str = FP32
    budget: Budget = field(default_factory=Budget)

    def other_splits(self) -> list[str]:
        """Return the splits that are reported beside the deciding one, without those that have no score."""
        _, *others = self.candidate.samples
        lacking = {split: why_no_score(self.candidate.samples[split], self.candidate.task) for split in others}
        for split, reason in lacking.items():
            if reason:
                log.warning("%s is not compared: %s", split, reason)
        return [split for split, reason in lacking.items() if not reason]

    def stage(self, model: bytes | None = None) -> Stage:
        """Return a stage that runs the file, or `model` in its place."""
        content = self.file.read_bytes() if model is None else model
        views = len(self.candidate.task.views)
        return onnx_stage(self.precision, content, self.options.profile, views, self._active_adapter())

    def run(self, stages: Sequence[Stage], split: str) -> list[Outputs]:
        """Run stages on the images of a split, and return the outputs of each."""
        return run_stages(stages, self.candidate.paths(split), self.image)

    @property
    def limits(self) -> Limits:
        """What the file may differ from the trained model."""
        return find_precision(self.precision).limits(self.options.profile, self.budget)

    def judge(
        self,
        stage: Stage,
        split: str,
        expected: Outputs,
        part: Sequence[int] | None = None,
        limits: Limits | None = None,
    ) -> Parity:
        """Compare a stage of the file with the outputs of the trained model.

        Args:
            stage: The stage.
            split: Name of the split.
            expected: Outputs of the trained model on all of its images.
            part: Positions of those that are compared; None compares all.
            limits: What may differ; `limits` of the trial when None.
        """
        samples = self.candidate.samples[split]
        units = self.candidate.units if split == self.candidate.deciding_split else None
        if part is not None:
            samples, chosen = [samples[position] for position in part], list(part)
            units = None if units is None else [units[position] for position in chosen]
            expected = (expected[0][chosen], expected[1][chosen], expected[2][chosen])
        (found,) = run_stages([stage], [path for path, _ in samples], self.image)
        return judge(samples, self.candidate.task, expected, found, stage.name, split, limits or self.limits, units)

    def measure_speed(self, min_speedup: float | None = None) -> Speed:
        """Time the file against the merged one."""
        picture = self.load(self.candidate.paths()[0])
        files = self.merged.read_bytes(), self.file.read_bytes()
        return measure_speed(*files, picture, min_speedup, self._active_adapter())

    def load(self, path: Path) -> NDArray[Any]:
        """Return a picture as the file takes it."""
        return load(path, self.image, FITS[self.options.profile])

    def files(self, line: str) -> dict[str, bytes]:
        """Return the files of a bundle for the line of this name, beside the model, by name of the file."""
        held = {golden_file(line): self._golden().to_bytes()}
        return held if self.adapter is None else {adapter_file(line): self.adapter.read_bytes(), **held}

    def _golden(self) -> Golden:
        """Choose the golden samples from the deciding split."""
        form = (self.precision, self.options.profile)
        return choose_golden(self.stage().run, self.candidate.paths(), self.image, self.candidate.task, *form)

    def _active_adapter(self) -> ActiveAdapter | None:
        return None if self.adapter is None else ActiveAdapter(self.adapter.read_bytes())


def settle(
    trials: Mapping[str, Trial],
    verdicts: Mapping[str, Verdict],
    parity: dict[str, Any],
    provenance: dict[str, Any],
    folder: Path,
    refusal: Path,
    sign: Signer | None,
) -> None:
    """Replace the bundle if the gate passed, else leave it and write the figures of the refusal.

    Args:
        trials: The trial of every line by its name; all have the same file.
        verdicts: What the gate measured of each line.
        parity: What `parity.json` holds; its `passed` decides.
        provenance: Where the model comes from, as JSON-ready values.
        folder: The bundle's folder.
        refusal: Where the figures of a refusal go.
        sign: Signs the bundle, where it is to be signed.
    """
    if not parity["passed"]:
        write_refusal(refusal, parity)
        return
    first = next(iter(trials.values()))  # model, image and profile are those of all
    contents = {MODEL: first.file.read_bytes()}
    for name, trial in trials.items():
        contents |= trial.files(name)
    lines = {
        name: Line(trial.candidate.task, trial.candidate.provenance, verdicts[name].summary())
        for name, trial in trials.items()
    }
    form = (first.precision, first.options.profile)
    manifest = Manifest({}, first.image, lines, *form, provenance, summarise(parity))
    write_bundle(folder, contents, parity, manifest, sign)
    shutil.rmtree(refusal, ignore_errors=True)  # an earlier refusal is over


def require_usable(candidate: Candidate) -> None:
    """Refuse images that no gate can judge by, before any work.

    Raises:
        ValueError: A split has none, or one of an unknown class.
    """
    for split, samples in candidate.samples.items():
        targets_of(samples, candidate.task, split)


def camera_size(candidates: Sequence[Candidate], image: ImageSpec) -> tuple[int, int] | None:
    """Return height and width of the candidates' images, or None where they have several sizes."""
    paths = (path for candidate in candidates for split in candidate.samples for path in candidate.paths(split))
    sizes = {load(path, image, FITS["u8-matmul"]).shape[:2] for path in paths}
    return sizes.pop() if len(sizes) == 1 else None
