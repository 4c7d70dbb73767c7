"""Load and run an ONNX model of Graft, and read the specs in its metadata."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..allocator import Watermark, release_freed_memory
from ..kinds import KINDS, read_task
from ..package import shell_line
from ..spec import DecisionSpec, ImageSpec, TaskSpec
from .lines import ActiveAdapter
from .manifest import SOLE

log = logging.getLogger(__name__)

INPUT, VERDICT = "image", "verdict"
THREADS = 2  # of one run, unless the user says otherwise
SPINNING = "session.intra_op.allow_spinning"
EXTERNAL = "session.model_external_initializers_file_folder_path"

_SHRINK = ("memory.enable_memory_arena_shrinkage", "cpu:0")
_HAS_ARENA = sys.maxsize > 2**32  # onnxruntime has none on 32 bits, and would refuse to shrink it
# Bytes of input by which two runs may differ before memory is freed; each picture counts as
# much for its activations.
_LIKE = 2**20

Outputs = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]
Named = dict[str, NDArray[Any]]


class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
    """A loaded model that frees the memory of earlier runs when the size of its input changes.

    onnxruntime keeps the memory of its largest run, and freeing it costs about as much as a run. So runs of one size
    keep their memory, and a run of another size frees it.
    """

    def __init__(self, model: bytes, options: onnxruntime.SessionOptions) -> None:
        """Load the model on the CPU; `model` is not kept."""
        super().__init__(model, options, providers=["CPUExecutionProvider"])
        self._model_bytes = None  # onnxruntime keeps a copy for a change of providers
        self._largest = Watermark(_LIKE)

    def run_batch(self, batch: NDArray[Any], adapter: ActiveAdapter | None = None) -> Named:
        """Run the model on a batch of its input, and return its outputs by name."""
        unlike = self._largest.is_passed(batch.nbytes + len(batch) * _LIKE)
        names = [output.name for output in self.get_outputs()]
        native = batch.astype(batch.dtype.newbyteorder("="), copy=False)
        values = self.run(names, {INPUT: native}, _options(adapter, unlike and _HAS_ARENA))
        if unlike:
            release_freed_memory()
        return dict(zip(names, values, strict=True))


def _options(adapter: ActiveAdapter | None, shrink: bool) -> onnxruntime.RunOptions:
    options = onnxruntime.RunOptions()
    if adapter is not None:
        options.add_active_adapter(adapter.held)
    if shrink:
        options.add_run_config_entry(*_SHRINK)
    return options


def open_session(model: bytes, threads: int) -> Session:
    """Load a model of Graft on the CPU.

    Raises:
        ValueError: As `load_model`, or it is no model of Graft.
    """
    session = load_model(model, threads)
    names = tuple(item.name for item in session.get_inputs()), tuple(item.name for item in session.get_outputs())
    if names not in [((INPUT,), kind.outputs + end) for kind in KINDS.values() for end in ((), (VERDICT,))]:
        raise ValueError(f"this is no model of Graft: export one with {shell_line('export', 'adapter=RUN')}")
    return session


def load_model(model: bytes, threads: int) -> Session:
    """Load any ONNX model on the CPU, as the camera runs it; `model` is not kept.

    Args:
        model: Content of the file.
        threads: CPU threads of one run; no more than the process has cores.

    Raises:
        ValueError: `threads` is below 1, or this onnxruntime cannot load the model.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _bounded(threads)
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # one for each size of picture would be kept, for no gain
    # A camera shares its cores: waiting threads must not burn them.
    options.add_session_config_entry(SPINNING, "0")
    # All weights are in the file: a manipulated one must not read others.
    options.add_session_config_entry(EXTERNAL, os.path.join(os.devnull, "nowhere"))
    try:
        return Session(model, options)
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        raise ValueError(f"onnxruntime {onnxruntime.__version__} cannot load the model, update it: {error}") from error


def _bounded(threads: int) -> int:
    """Return the number of threads, limited to the cores of this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads > max(cores, THREADS):
        log.warning("threads=%d: there are %d cores, so as many threads run", threads, cores)
    return min(threads, cores)


def run_pictures(session: Session, pictures: Sequence[NDArray[Any]], adapter: ActiveAdapter | None = None) -> Outputs:
    """Run a loaded model on pictures: in one batch if they are of one size, else one by one."""
    return as_outputs(run_named(session, pictures, adapter))


def run_named(session: Session, pictures: Sequence[NDArray[Any]], adapter: ActiveAdapter | None = None) -> Named:
    """Run a loaded model as `run_pictures` does, and return all of its outputs by name."""
    alike = isinstance(pictures, np.ndarray) or len({picture.shape for picture in pictures}) == 1
    return session.run_batch(np.asarray(pictures), adapter) if alike else run_each_named(session, pictures, adapter)


def run_each(session: Session, pictures: Sequence[NDArray[Any]], adapter: ActiveAdapter | None = None) -> Outputs:
    """Run a loaded model on pictures one by one, with the memory of one."""
    return as_outputs(run_each_named(session, pictures, adapter))


def run_each_named(session: Session, pictures: Sequence[NDArray[Any]], adapter: ActiveAdapter | None = None) -> Named:
    """Run a loaded model as `run_each` does, and return all of its outputs by name."""
    parts = [session.run_batch(picture[None], adapter) for picture in pictures]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def run_session(session: Session, batch: NDArray[Any], adapter: ActiveAdapter | None = None) -> Outputs:
    """Run a loaded model on a batch of its input; see `Runtime.run`."""
    return as_outputs(session.run_batch(batch, adapter))


def as_outputs(found: Named) -> Outputs:
    """Return what every file of Graft gives: logits, probabilities and decisions; see `Runtime.run`."""
    return found["logits"], found.get("probabilities", found["logits"][:, :0]), found["decision"]


def read_specs(session: onnxruntime.InferenceSession) -> tuple[ImageSpec, dict[str, TaskSpec]] | None:
    """Return image spec and tasks by line from the model's metadata, None if they cannot be read."""
    held = session.get_modelmeta().custom_metadata_map
    try:
        image = ImageSpec.from_dict(json.loads(held["image"]))
        if "lines" in held:
            return image, {name: read_task(task) for name, task in json.loads(held["lines"]).items()}
        return image, {SOLE: read_task(json.loads(held["task"]))}
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None


def read_decisions(session: onnxruntime.InferenceSession) -> dict[str, DecisionSpec] | None:
    """Return by line what a model makes its verdicts by, none where it gives none, None if that cannot be read."""
    held = session.get_modelmeta().custom_metadata_map.get("decision")
    if (VERDICT in [output.name for output in session.get_outputs()]) != (held is not None):
        return None
    try:
        return {} if held is None else {SOLE: DecisionSpec.from_dict(json.loads(held))}
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
