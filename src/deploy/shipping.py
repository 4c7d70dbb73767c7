"""From a trained model to its bundle: export, compare, and put it in place only when it passed."""

from __future__ import annotations

import gc
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from torch import nn

from ..edge.golden import GOLDEN, Golden
from ..edge.manifest import MODEL, Manifest
from ..edge.memory import release_freed_memory
from ..edge.preprocess import load
from ..edge.profile import FITS
from ..edge.session import Outputs
from ..edge.signature import Signer
from ..spec import ImageSpec, TaskSpec
from .bundle import require_replaceable, write_bundle, write_refusal
from .decisions import Samples, has_score, targets_of
from .fp16 import to_fp16
from .gate import Verdict
from .graph import ExportOptions, export_onnx
from .limits import Budget, limits, require_precision
from .model_file import write_model
from .openvino import openvino_stage, require_openvino
from .parity import Parity, judge
from .search import Search, find_int8
from .golden_samples import choose_golden
from .speed import measure_speed
from .stages import Stage, onnx_stage, run_stages, torch_stage

CALIBRATION_PICTURES = 128
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A model that asks to be shipped; both networks on the CPU, in fp32 and eval mode.

    Attributes:
        trained: The model as it was trained, adapters unmerged: what the file must equal.
        merged: The plain network that is exported.
        image: How a picture becomes the network's input.
        task: Classes and views.
        calibration: Training pictures, for the ranges of int8; about `CALIBRATION_PICTURES` of them are used.
        profile: What the file takes; one of `src.edge.profile.PROFILES`.
        opset: Version of the file's operators.
        openvino: Whether OpenVINO must decide as the file does, too.
    """

    trained: nn.Module
    merged: nn.Module
    image: ImageSpec
    task: TaskSpec
    calibration: Sequence[Path] = ()
    profile: str = "u8"
    opset: int = 18
    openvino: bool = False


def ship(
    candidate: Candidate,
    samples: Mapping[str, Samples],
    run: Path,
    precision: str,
    provenance: dict[str, Any],
    budget: Budget | None = None,
    sign: Signer | None = None,
) -> Verdict:
    """Export a model, compare the file with the model as it was trained, and replace `<run>/edge` when it passed.

    A refused bundle leaves `<run>/edge` as it was, and its figures in `<run>/edge-refused-<precision>/parity.json`.

    Args:
        candidate: The model, trained and merged.
        samples: Path and class name of the pictures to compare, by split; the first split decides, the others are
            measured and reported.
        run: The run folder.
        precision: Number format to ship; one of `src.deploy.limits.PRECISIONS`.
        provenance: Where the model comes from, as JSON-ready values.
        budget: What int8 may cost and must bring; `Budget()` when None.
        sign: Signs the bundle, where it is to be signed.

    Returns:
        What the gate measured; `passed` says which of the two happened.

    Raises:
        ValueError: The precision is unknown, the model cannot be exported, or a picture cannot be used.
    """
    require_precision(precision)
    for split, pictures in samples.items():
        targets_of(pictures, candidate.task, split)
    if candidate.openvino:
        require_openvino(candidate.profile)
    bundle, refusal = run / "edge", run / f"edge-refused-{precision}"
    require_replaceable(bundle, refusal, sign)
    with tempfile.TemporaryDirectory(prefix=".edge-", dir=run) as folder:
        trial = _Trial(candidate, samples, precision, budget or Budget(), Path(folder))
        trial.export(provenance)
        verdict = trial.verdict()
        if verdict.passed:
            contents = {MODEL: trial.file.read_bytes(), GOLDEN: trial.golden().to_bytes()}
            manifest = trial.manifest(verdict, provenance)
            write_bundle(bundle, contents, verdict.to_dict(), manifest, sign)
            shutil.rmtree(refusal, ignore_errors=True)  # an earlier refusal is over
        else:
            write_refusal(refusal, verdict.to_dict())
    return verdict


@dataclass(frozen=True)
class _Pictures:
    """Batches of one picture, loaded when they are asked for: of a camera's size, many are large."""

    paths: Sequence[Path]
    load: Callable[[Path], NDArray[Any]]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self.load(path)[None] for path in self.paths)


class _Trial:
    """One model on its way through the gate."""

    def __init__(
        self, candidate: Candidate, samples: Mapping[str, Samples], precision: str, budget: Budget, folder: Path
    ) -> None:
        self._candidate, self._samples, self._budget = candidate, samples, budget
        self._precision, self._fp32 = precision, folder / "fp32.onnx"
        self.file = folder / MODEL

    def export(self, provenance: dict[str, Any]) -> None:
        """Write the fp32 file."""
        candidate = self._candidate
        paths = [path for split in self._samples for path in self._paths(split)]
        taken = camera_size(paths, candidate.image) if candidate.profile == "u8-matmul" else None
        options = ExportOptions(candidate.profile, candidate.opset, taken)
        release_freed_memory()  # of building the networks
        export_onnx(candidate.merged, candidate.image, candidate.task, self._fp32, options, provenance)
        gc.collect()  # the traced program refers to itself
        release_freed_memory()

    def verdict(self) -> Verdict:
        """Compare every stage, and convert the file to the precision that was asked for."""
        first, *others = self._samples
        stages, expected = self._base_stages(first)
        search = None
        if self._precision == "fp32" or not all(stage.passed for stage in stages):
            self.file = self._fp32
        else:
            search = self._convert(first, expected)
        shipped = (*stages, *self._further(first, expected))
        also = {}
        for split in others:
            if not has_score(self._samples[split], self._candidate.task):
                log.warning("%s is not compared: all its values are the same, which have no R2", split)
                continue
            base, outputs = self._base_stages(split)
            also[split] = (*base, *self._further(split, outputs))
        if self.file == self._fp32:
            return Verdict(self._precision, shipped, also)
        wanted = self._budget.min_speedup if self._precision == "int8" else None
        picture = self._load(self._paths(first)[0])
        speed = measure_speed(self._fp32.read_bytes(), self.file.read_bytes(), picture, wanted)
        return Verdict(self._precision, shipped, also, speed, search)

    def golden(self) -> Golden:
        """Return by what the bundle tests itself, from the split that decides."""
        candidate, paths = self._candidate, self._paths(next(iter(self._samples)))
        form = (self._precision, candidate.profile)
        stage = self._stage(self.file.read_bytes())
        return choose_golden(stage.run, paths, candidate.image, candidate.task, *form)

    def manifest(self, verdict: Verdict, provenance: dict[str, Any]) -> Manifest:
        """Return the manifest of a bundle that holds no files yet."""
        candidate = self._candidate
        form = (self._precision, candidate.profile)
        return Manifest({}, candidate.image, candidate.task, *form, provenance, verdict.summary())

    def _convert(self, split: str, expected: Outputs) -> Search | None:
        """Write the file in the precision that was asked for."""
        if self._precision == "fp16":
            write_model(to_fp16(onnx.load(self._fp32)), self.file)
            return None
        release_freed_memory()  # of the stages before
        paths = self._candidate.calibration
        chosen = paths[:: max(1, len(paths) // CALIBRATION_PICTURES)][:CALIBRATION_PICTURES]
        return find_int8(
            self._fp32,
            _Pictures(chosen, self._load),
            lambda model: self._judged(split, expected, self._stage(model)),
            self.file,
        )

    def _stage(self, model: bytes) -> Stage:
        return onnx_stage(self._precision, model, self._candidate.profile, len(self._candidate.task.views))

    def _further(self, split: str, expected: Outputs) -> tuple[Parity, ...]:
        """Return the figures of the file that ships: of another precision, and in another runtime."""
        model, stages = self.file.read_bytes(), []
        if self.file != self._fp32:
            stages.append(self._stage(model))
        if self._candidate.openvino:
            stages.append(openvino_stage(model, self._candidate.profile, len(self._candidate.task.views)))
        return tuple(self._judged(split, expected, stage) for stage in stages)

    def _base_stages(self, split: str) -> tuple[tuple[Parity, ...], Outputs]:
        """Return the figures of the merged model and of the fp32 file, and the outputs of the trained model."""
        image, task = self._candidate.image, self._candidate.task
        stages = [
            torch_stage("trained", self._candidate.trained, image, task),
            torch_stage("merged", self._candidate.merged, image, task),
            onnx_stage("fp32", self._fp32.read_bytes(), self._candidate.profile, len(task.views)),
        ]
        expected, *found = run_stages(stages, self._paths(split), image)
        allowed = (limits("fp32", profile, self._budget) for profile in ("u8", self._candidate.profile))
        return tuple(
            judge(self._samples[split], task, expected, outputs, stage.name, split, kept)
            for stage, outputs, kept in zip(stages[1:], found, allowed, strict=True)
        ), expected

    def _judged(self, split: str, expected: Outputs, stage: Stage) -> Parity:
        (found,) = run_stages([stage], self._paths(split), self._candidate.image)
        allowed = limits(self._precision, self._candidate.profile, self._budget)
        return judge(self._samples[split], self._candidate.task, expected, found, stage.name, split, allowed)

    def _load(self, path: Path) -> NDArray[Any]:
        return load(path, self._candidate.image, FITS[self._candidate.profile])

    def _paths(self, split: str) -> list[Path]:
        return [path for path, _ in self._samples[split]]


def camera_size(paths: Sequence[Path], image: ImageSpec) -> tuple[int, int] | None:
    """Return height and width of the pictures, or None where they have several sizes."""
    sizes = {load(path, image, FITS["u8-matmul"]).shape[:2] for path in paths}
    return sizes.pop() if len(sizes) == 1 else None
