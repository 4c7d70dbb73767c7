"""A bundle that decides: onnxruntime on the CPU, with the pixels and the names of the bundle itself."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from src.edge.golden import GOLDEN, Golden
from src.edge.manifest import MODEL, Manifest, find_bundle
from src.edge.preprocess import ImageError, Pixels, load, scale_grey
from src.edge.profile import FITS
from src.spec import JOINT, Decision, ImageSpec, Measurement, TaskSpec

INPUT, OUTPUTS, VALUED = "image", ("logits", "probabilities", "decision"), ("logits", "decision")
SPINNING = "session.intra_op.allow_spinning"

Outputs = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]


class Runtime:
    """Decide about pictures with a bundle.

    Attributes:
        image: How a picture becomes the network's input (`ImageSpec`).
        task: What the outputs mean (`TaskSpec`).
    """

    def __init__(self, bundle: str | Path, threads: int = 2) -> None:
        """Check every file of the bundle, load its model, and let it decide about its golden inputs.

        Args:
            bundle: The bundle's folder, its `model.onnx`, or a run folder (or a link to one) that holds `edge`.
            threads: CPU threads of one decision.

        Raises:
            ValueError: There is no bundle, it was changed after its export, it is of another version, or this machine
                does not give the outputs that the export gave.
        """
        folder = find_bundle(bundle)
        manifest = Manifest.read(folder)
        files = manifest.read_files(folder)
        if manifest.profile not in FITS:
            raise ValueError(f"the profile {manifest.profile!r} of {folder} is unknown: update Graft")
        self.image, self.task, self._fit = manifest.image, manifest.task, FITS[manifest.profile]
        self._session = open_session(files[MODEL], threads)
        if read_specs(self._session) != (self.image, self.task):
            raise ValueError(f"the manifest in {folder} is not the one of its model: export the model again")
        if GOLDEN not in files:
            raise ValueError(f"{folder} has no {GOLDEN} to test itself by: export the model again")
        golden = Golden.from_bytes(files[GOLDEN])
        del files  # as large as the model, and the outputs below need room
        golden.check(run_each(self._session, golden.inputs))

    def predict(self, pictures: Sequence[Pixels | NDArray[np.uint16]]) -> list[Decision | Measurement]:
        """Decide about decoded pictures in one run of the network.

        Args:
            pictures: Arrays of any size, H x W x 3, uint8, RGB, or H x W, uint16, grey; `image` says how they are
                resized, and what white is in the grey ones.

        Returns:
            One decision for each picture; with regression a `Measurement`.

        Raises:
            ImageError: An array is no picture, or holds a grey above white.
        """
        if not pictures:
            return []
        return self.decide([self.fit(self._rgb(picture)) for picture in pictures])

    def load(self, path: str | os.PathLike[str]) -> NDArray[Any]:
        """Return the picture at `path` as the network takes it, for `decide`.

        Raises:
            ImageError: It cannot be used; the message names it.
        """
        return load(path, self.image, lambda pixels, _: self.fit(pixels))

    def fit(self, pixels: Pixels) -> NDArray[Any]:
        """Return a decoded picture (H x W x 3, uint8, RGB) as the network takes it, for `decide`.

        Raises:
            ImageError: It is no picture, or the network has no place for its size.
        """
        return self._checked(self._fit(pixels, self.image))

    def decide(self, batch: Sequence[NDArray[Any]]) -> list[Decision | Measurement]:
        """Decide about pictures such as `load` gives, in one run of the network when they are of one size.

        Args:
            batch: Pictures as the network takes them; with profile `u8` N x H x W x 3, uint8, H x W as `image.size`.

        Returns:
            One decision for each picture.

        Raises:
            ImageError: The network gives no finite numbers for a picture: no decision is better than a wrong one.
        """
        logits, probabilities, decided = self.run(batch)
        if not np.isfinite(logits).all():
            raise ImageError("the network gives no finite numbers for this picture, so it cannot be decided")
        return [self._decision(*each) for each in zip(probabilities, decided, strict=True)]

    def run(self, batch: Sequence[NDArray[Any]]) -> Outputs:
        """Run the network on pictures as it takes them; see `decide`.

        Returns:
            Logits (N x outputs), probabilities (N x classes; N x 0 with regression) and decisions: the index of the
            class (N), which labels are there (N x classes, 0 or 1), or the value (N).
        """
        return run_pictures(self._session, batch)

    def _checked(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Refuse a picture that the network has no place for: profile `u8-matmul` is bound to one camera."""
        wanted = self._session.get_inputs()[0].shape[1:]
        if any(isinstance(side, int) and side != given for side, given in zip(wanted, picture.shape, strict=True)):
            raise ImageError(
                f"this bundle takes {wanted[0]} x {wanted[1]} pixels, not {' x '.join(map(str, picture.shape[:2]))}"
            )
        return picture

    def _rgb(self, picture: NDArray[Any]) -> Pixels:
        grey = picture.dtype == np.uint16 and picture.ndim == 2
        return scale_grey(picture, self.image.bit_depth) if grey else picture

    def _decision(self, probabilities: NDArray[np.float32], decided: Any) -> Decision | Measurement:
        classes = self.task.classes
        if self.task.kind == "regression":
            return Measurement(value=float(decided))
        by_name = dict(zip(classes, probabilities.tolist(), strict=True))
        if self.task.kind == "multilabel":
            present = JOINT.join(name for name, there in zip(classes, decided, strict=True) if there)
            return Decision(present, float(np.where(decided, probabilities, 1 - probabilities).min()), by_name)
        return Decision(classes[int(decided)], float(probabilities[int(decided)]), by_name)


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
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        raise ValueError(f"onnxruntime {onnxruntime.__version__} cannot load the model, update it: {error}") from error
    session._model_bytes = None  # it would hold them for as long as it lives, to change providers
    return session


def run_pictures(session: onnxruntime.InferenceSession, pictures: Sequence[NDArray[Any]]) -> Outputs:
    """Run a loaded model on pictures, at once where they are of one size, else one by one."""
    alike = isinstance(pictures, np.ndarray) or len({picture.shape for picture in pictures}) == 1
    return run_session(session, np.asarray(pictures)) if alike else run_each(session, pictures)


def run_each(session: onnxruntime.InferenceSession, pictures: Sequence[NDArray[Any]]) -> Outputs:
    """Run a loaded model on pictures one by one, with no more memory than one takes."""
    parts = [run_session(session, picture[None]) for picture in pictures]
    logits, probabilities, decision = (np.concatenate(part) for part in zip(*parts, strict=True))
    return logits, probabilities, decision


def run_session(session: onnxruntime.InferenceSession, batch: NDArray[Any]) -> Outputs:
    """Run a loaded model on a batch of its input; see `Runtime.run`."""
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, {INPUT: batch}), strict=True))
    return found["logits"], found.get("probabilities", found["logits"][:, :0]), found["decision"]


def read_specs(session: onnxruntime.InferenceSession) -> tuple[ImageSpec, TaskSpec] | None:
    """Return the image and task specs that the model itself carries, or None where it has none that can be read."""
    held = session.get_modelmeta().custom_metadata_map
    try:
        return ImageSpec.from_dict(json.loads(held["image"])), TaskSpec.from_dict(json.loads(held["task"]))
    except (KeyError, TypeError, ValueError):
        return None
