"""Ship one trained model: export, convert, compare, and write the bundle if it passes."""

from __future__ import annotations

import gc
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..allocator import release_freed_memory
from ..edge.manifest import MODEL, SOLE
from ..edge.session import Outputs
from ..edge.signature import Signer
from ..kinds import find_kind
from ..spec import ImageSpec
from .bundle import require_replaceable
from .gate import Verdict
from .graph import ExportOptions, export_onnx
from .halves import SEED, Halves, halve
from .limits import Budget
from .openvino import openvino_stage, require_openvino
from .parity import Parity, judge
from .precisions import FP32, Conversion, find_precision
from .search import Search
from .speed import Speed
from .stages import onnx_stage, torch_stage
from .trial import Candidate, Trial, camera_size, require_usable, settle

CALIBRATION_PICTURES = 128
log = logging.getLogger(__name__)


def ship(
    candidate: Candidate,
    image: ImageSpec,
    run: Path,
    precision: str = FP32,
    options: ExportOptions | None = None,
    budget: Budget | None = None,
    openvino: bool = False,
    sign: Signer | None = None,
) -> Verdict:
    """Export a model, compare the file with the trained model, and replace `<run>/edge` if it passes.

    A refused bundle leaves `<run>/edge` as it was, with its figures in `<run>/edge-refused-<precision>/parity.json`.

    Args:
        candidate: The trained model.
        image: How a picture becomes the network's input.
        run: The run folder.
        precision: Number format to ship; one of `src.deploy.precisions`.
        options: Profile and opset; `ExportOptions()` when None.
        budget: What int8 may cost and must bring; `Budget()` when None.
        openvino: Whether the file must pass in OpenVINO too.
        sign: Signs the bundle, where it is to be signed.

    Returns:
        What the gate measured; `passed` tells whether the bundle was replaced.

    Raises:
        ValueError: The precision is unknown, the model cannot be exported, or a picture cannot be used.
    """
    options = options or ExportOptions()
    find_precision(precision)
    require_usable(candidate)
    if openvino:
        require_openvino(options.profile)
    bundle, refusal = run / "edge", run / f"edge-refused-{precision}"
    require_replaceable(bundle, refusal, sign)
    if options.profile == "u8-matmul":
        options = replace(options, taken=camera_size([candidate], image))
    with tempfile.TemporaryDirectory(prefix=".edge-", dir=run) as work:
        merged, file = Path(work) / "fp32.onnx", Path(work) / MODEL
        trial = Trial(candidate, image, options, merged, file, None, precision, budget or Budget())
        verdict = _Conversion(trial, openvino).verdict()
        settle({SOLE: trial}, {SOLE: verdict}, verdict.to_dict(), candidate.provenance, bundle, refusal, sign)
    return verdict


@dataclass(frozen=True)
class _Pictures:
    """Batches of one picture, loaded lazily: many pictures of a camera do not fit in memory."""

    paths: Sequence[Path]
    load: Callable[[Path], NDArray[Any]]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self.load(path)[None] for path in self.paths)


class _Conversion:
    """The stages of one model, from the trained network to the file in its precision."""

    def __init__(self, trial: Trial, openvino: bool) -> None:
        """Build the networks and write the fp32 file."""
        candidate = trial.candidate
        self._trial, self._openvino = trial, openvino
        self._trained, self._merged = candidate.build(), candidate.merge(candidate.build())
        release_freed_memory()  # of building the networks
        export_onnx(self._merged, trial.image, candidate.task, trial.merged, trial.options, candidate.provenance)
        gc.collect()  # the traced program has reference cycles
        release_freed_memory()

    def verdict(self) -> Verdict:
        """Compare every stage, and convert the file to its precision."""
        trial = self._trial
        first = trial.candidate.deciding_split
        stages, expected = self._base_stages(first)
        search = too_few = None
        halves = self._halve(first)
        # A merge or an fp32 file that failed, or images that prove too little, are told before a long conversion.
        if trial.precision == FP32 or not all(stage.passed for stage in stages):
            trial.file = trial.merged
        elif too_few := self._why_too_few(halves):
            trial.file = trial.merged
        else:
            search = self._convert(first, expected, halves)
        accepting = halves.accepting if halves and trial.file != trial.merged else None
        shipped = (*stages, *self._further(first, expected, accepting))
        also = {}
        for split in trial.other_splits():
            base, outputs = self._base_stages(split)
            also[split] = (*base, *self._further(split, outputs))
        if trial.file == trial.merged:
            return Verdict(trial.precision, shipped, also, halves=halves, too_few=too_few)
        speed = search.speed if search else self._measure()
        return Verdict(trial.precision, shipped, also, speed, search, halves)

    def _halve(self, split: str) -> Halves | None:
        """Part the deciding images in two where a precision is chosen by one half; None where all of them accept."""
        trial, candidate = self._trial, self._trial.candidate
        if not find_precision(trial.precision).has_budget:
            return None
        truths = [truth for _, truth in candidate.samples[split]]
        halves = halve(truths, candidate.task, candidate.units)
        log.info(
            "%s: %d images choose the layers of %s, %d accept them (each truth by its share, groups and copies whole, "
            "seed %d)",
            *(split, len(halves.choosing), trial.precision, len(halves.accepting), SEED),
        )
        return halves

    def _why_too_few(self, halves: Halves | None) -> str | None:
        """Return why the accepting images could prove nothing; of what is not decided in classes no proof is asked."""
        if halves is None or not find_kind(self._trial.candidate.task.kind).is_exclusive:
            return None
        return self._trial.limits.why_too_few(self._draws(halves.accepting))

    def _draws(self, part: Sequence[int]) -> int:
        """Return how many independent draws some deciding images are: a group, or copies, are one."""
        units = self._trial.candidate.units
        return len(part) if units is None else len({units[position] for position in part})

    def _measure(self) -> Speed:
        """Time the file against the fp32 one."""
        return self._trial.measure_speed(find_precision(self._trial.precision).min_speedup(self._trial.budget))

    def _convert(self, split: str, expected: Outputs, halves: Halves | None) -> Search | None:
        """Write the file in the precision that was asked for."""
        trial, paths = self._trial, self._trial.candidate.calibration
        chosen = paths[:: max(1, len(paths) // CALIBRATION_PICTURES)][:CALIBRATION_PICTURES]
        part, limits = halves.choosing if halves else None, trial.limits
        if part is not None and limits.why_too_few(self._draws(part)):
            limits = replace(limits, drop_bound=None)  # they choose by the point; the others prove
        conversion = Conversion(
            trial.merged,
            trial.file,
            _Pictures(chosen, trial.load),
            lambda model: trial.judge(trial.stage(model), split, expected, part, limits),
            self._measure,
        )
        return find_precision(trial.precision).convert(conversion)

    def _further(self, split: str, expected: Outputs, part: Sequence[int] | None = None) -> tuple[Parity, ...]:
        """Return the figures of the shipped file: in another precision than fp32, and in another runtime."""
        trial, stages = self._trial, []
        if trial.file != trial.merged:
            stages.append(trial.stage())
        if self._openvino:
            views = len(trial.candidate.task.views)
            stages.append(openvino_stage(trial.file.read_bytes(), trial.options.profile, views))
        return tuple(trial.judge(stage, split, expected, part) for stage in stages)

    def _base_stages(self, split: str) -> tuple[tuple[Parity, ...], Outputs]:
        """Return the figures of the merged model and the fp32 file, and the outputs of the trained model."""
        trial, task = self._trial, self._trial.candidate.task
        stages = [
            torch_stage("trained", self._trained, trial.image, task),
            torch_stage("merged", self._merged, trial.image, task),
            onnx_stage(FP32, trial.merged.read_bytes(), trial.options.profile, len(task.views)),
        ]
        expected, *found = trial.run(stages, split)
        allowed = (find_precision(FP32).limits(profile, trial.budget) for profile in ("u8", trial.options.profile))
        return tuple(
            judge(trial.candidate.samples[split], task, expected, outputs, stage.name, split, kept)
            for stage, outputs, kept in zip(stages[1:], found, allowed, strict=True)
        ), expected
