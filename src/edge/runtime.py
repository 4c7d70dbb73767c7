"""A bundle that decides: onnxruntime on the CPU, with the pixels and the names of the bundle itself."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from src.edge.golden import GOLDEN, Golden
from src.edge.lines import ADAPTER_SUFFIX, GOLDEN_SUFFIX, ActiveAdapter
from src.edge.manifest import MODEL, Manifest, find_bundle
from src.edge.preprocess import ImageError, Pixels, load, scale_grey
from src.edge.profile import FITS
from src.spec import JOINT, Decision, ImageSpec, Measurement, TaskSpec

INPUT, OUTPUTS, VALUED = "image", ("logits", "probabilities", "decision"), ("logits", "decision")
SPINNING = "session.intra_op.allow_spinning"
_OF_LINES = (ADAPTER_SUFFIX, GOLDEN_SUFFIX)

Outputs = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]


class Runtime:
    """Decide about pictures with a bundle.

    Attributes:
        image: How a picture becomes the network's input (`ImageSpec`).
        lines: Names of the lines that share the bundle's base; empty for a bundle of one line.
    """

    def __init__(self, bundle: str | Path, threads: int = 2, verify: str | Path | None = None) -> None:
        """Check every file of the bundle, load its model, and let it decide about its golden inputs.

        Args:
            bundle: The bundle's folder, its `model.onnx`, or a run folder (or a link to one) that holds `edge`.
            threads: CPU threads of one decision.
            verify: Public key (PEM) of whoever must have signed the bundle; None asks for no signature.

        Raises:
            ValueError: There is no bundle, it was changed after its export, it is of another version, it is not signed
                as `verify` asks, or this machine does not give the outputs that the export gave.
        """
        folder = find_bundle(bundle)
        manifest = Manifest.read(folder, verify)
        files = manifest.read_files(folder)
        if manifest.profile not in FITS:
            raise ValueError(f"the profile {manifest.profile!r} of {folder} is unknown: update Graft")
        self._manifest = manifest
        self._files = {name: content for name, content in files.items() if name.endswith(_OF_LINES)}
        self.image, self.lines, self._fit = manifest.image, tuple(manifest.lines), FITS[manifest.profile]
        self._session, self._task = open_session(files[MODEL], threads), manifest.task
        self._adapter: ActiveAdapter | None = None
        self._opened: dict[str, Runtime] = {}
        lines = {name: line.task for name, line in manifest.lines.items()}
        if read_specs(self._session) != (self.image, self._task or lines):
            raise ValueError(f"the manifest in {folder} is not the one of its model: export the model again")
        del files  # as large as the model, and the outputs below need room
        if not self.lines:
            self._test_itself(GOLDEN)

    @property
    def task(self) -> TaskSpec:
        """What the outputs mean.

        Raises:
            ValueError: Each of several lines has its own: see `line`.
        """
        if self._task is None:
            raise ValueError(f"this bundle holds the lines {', '.join(self.lines)}: choose one with adapter=NAME")
        return self._task

    def line(self, name: str) -> Runtime:
        """Return the runtime of one line, tested when it is first asked for; all lines share one base in memory.

        Args:
            name: One of `lines`.

        Raises:
            ValueError: There is no such line, or its files were changed, or it fails its test as a bundle would.
        """
        if name not in self.lines:
            known = f"holds the lines {', '.join(self.lines)}" if self.lines else "is of one line: leave out adapter="
            raise ValueError(f"no line {name!r}, the bundle {known}")
        if name not in self._opened:
            line = copy(self)
            line._task = self._manifest.lines[name].task
            line._adapter = ActiveAdapter(self._content(f"{name}{ADAPTER_SUFFIX}"))
            line._test_itself(f"{name}{GOLDEN_SUFFIX}")
            self._opened.setdefault(name, line)
        return self._opened[name]

    def predict(
        self, pictures: Sequence[Pixels | NDArray[np.uint16]], adapter: str | None = None
    ) -> list[Decision | Measurement]:
        """Decide about decoded pictures in one run of the network.

        Args:
            pictures: Arrays of any size, H x W x 3, uint8, RGB, or H x W, uint16, grey; `image` says how they are
                resized, and what white is in the grey ones.
            adapter: The line that decides, of a bundle of several; see `line`.

        Returns:
            One decision for each picture; with regression a `Measurement`.

        Raises:
            ImageError: An array is no picture, or holds a grey above white.
            ValueError: As `line`.
        """
        if adapter is not None:
            return self.line(adapter).predict(pictures)
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
        _ = self.task  # of a line, or there is none to decide
        return run_pictures(self._session, batch, self._adapter)

    def _test_itself(self, name: str) -> None:
        """Give the outputs of the export for the inputs in a file of the bundle, or do not serve."""
        golden = Golden.from_bytes(self._content(name))
        try:
            found = run_each(self._session, golden.inputs, self._adapter)
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise ValueError(f"the model cannot run the inputs of {name}: export it again ({error})") from error
        golden.check(found)

    def _content(self, name: str) -> bytes:
        """Return a file of the bundle as it was checked at the start."""
        if name not in self._files:
            raise ValueError(f"the bundle has no {name}: export the model again")
        return self._files[name]

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
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
