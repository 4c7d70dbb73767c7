"""A loaded ONNX model of Graft: its inputs and outputs by name, and what it says of itself."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from src.edge.lines import ActiveAdapter
from src.spec import ImageSpec, TaskSpec

INPUT, OUTPUTS, VALUED = "image", ("logits", "probabilities", "decision"), ("logits", "decision")
SPINNING = "session.intra_op.allow_spinning"
EXTERNAL = "session.model_external_initializers_file_folder_path"

Outputs = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]


def output_names(task: TaskSpec) -> tuple[str, ...]:
    """Return the names of a model's outputs: a value has no probabilities."""
    return VALUED if task.kind == "regression" else OUTPUTS


def open_session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """Load a model of Graft on the CPU.

    Raises:
        ValueError: As `load_model`, or it is no model of Graft.
    """
    session = load_model(model, threads)
    names = tuple(item.name for item in session.get_inputs()), tuple(item.name for item in session.get_outputs())
    if names not in (((INPUT,), OUTPUTS), ((INPUT,), VALUED)):
        raise ValueError("this is no model of Graft: export one with python -m src.export adapter=RUN")
    return session


def load_model(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """Load any ONNX model on the CPU, as the camera runs it; `model` is not kept.

    Raises:
        ValueError: `threads` is below 1, or this onnxruntime cannot load the model.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # A camera shares its cores: waiting threads must not burn them.
    options.add_session_config_entry(SPINNING, "0")
    options.add_session_config_entry(EXTERNAL, os.path.join(os.devnull, "nowhere"))  # all weights are in the file
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        raise ValueError(f"onnxruntime {onnxruntime.__version__} cannot load the model, update it: {error}") from error
    session._model_bytes = None  # it would hold them for as long as it lives, to change providers
    return session


def run_pictures(
    session: onnxruntime.InferenceSession, pictures: Sequence[NDArray[Any]], adapter: ActiveAdapter | None = None
) -> Outputs:
    """Run a loaded model on pictures, at once where they are of one size, else one by one."""
    alike = isinstance(pictures, np.ndarray) or len({picture.shape for picture in pictures}) == 1
    return run_session(session, np.asarray(pictures), adapter) if alike else run_each(session, pictures, adapter)


def run_each(
    session: onnxruntime.InferenceSession, pictures: Sequence[NDArray[Any]], adapter: ActiveAdapter | None = None
) -> Outputs:
    """Run a loaded model on pictures one by one, with no more memory than one takes."""
    parts = [run_session(session, picture[None], adapter) for picture in pictures]
    logits, probabilities, decision = (np.concatenate(part) for part in zip(*parts, strict=True))
    return logits, probabilities, decision


def run_session(
    session: onnxruntime.InferenceSession, batch: NDArray[Any], adapter: ActiveAdapter | None = None
) -> Outputs:
    """Run a loaded model on a batch of its input; see `Runtime.run`."""
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {INPUT: batch}, None if adapter is None else adapter.options)
    found = dict(zip(names, values, strict=True))
    return found["logits"], found.get("probabilities", found["logits"][:, :0]), found["decision"]


def read_specs(session: onnxruntime.InferenceSession) -> tuple[ImageSpec, TaskSpec | dict[str, TaskSpec]] | None:
    """Return the image and task specs that the model itself carries, or None where it has none that can be read.

    The base of several lines has a task for each.
    """
    held = session.get_modelmeta().custom_metadata_map
    try:
        image = ImageSpec.from_dict(json.loads(held["image"]))
        if "lines" in held:
            return image, {name: TaskSpec.from_dict(task) for name, task in json.loads(held["lines"]).items()}
        return image, TaskSpec.from_dict(json.loads(held["task"]))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
