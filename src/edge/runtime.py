"""Run a bundle: onnxruntime on the CPU, with preprocessing and class names from the bundle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..allocator import Watermark, release_freed_memory
from ..decision import words
from ..kinds import find_kind
from ..spec import Decision, DecisionSpec, Measurement, TaskSpec
from .golden import Golden
from .lines import ADAPTER_SUFFIX, GOLDEN_SUFFIX, ActiveAdapter, adapter_file, golden_file
from .manifest import MODEL, SOLE, Manifest, find_bundle
from .preprocess import ImageError, Pixels, load, scale_grey
from .profile import FITS
from .session import (
    THREADS,
    VERDICT,
    Outputs,
    as_outputs,
    open_session,
    read_decisions,
    read_specs,
    run_each_named,
    run_named,
)
from .verdicts import require_verdicts

_OF_LINES = (ADAPTER_SUFFIX, GOLDEN_SUFFIX)
_LIKE = 2**23  # bytes of pixels by which two pictures may differ before memory is freed


class Runtime:
    """Decide about pictures with a bundle.

    Attributes:
        image: How a picture becomes the network's input (`ImageSpec`).
        lines: Names of the lines that share the bundle's base; empty for a bundle of one line.
    """

    def __init__(self, bundle: str | Path, threads: int = THREADS, verify: str | Path | None = None) -> None:
        """Check every file of the bundle, load its model, and test it by its golden samples.

        Args:
            bundle: The bundle's folder, its `model.onnx`, or a run folder (or a link to one) that holds `edge`.
            threads: CPU threads of one decision; no more than the process has cores.
            verify: Public key (PEM) of whoever must have signed the bundle; None asks for no signature.

        Raises:
            ValueError: There is no bundle, it was changed after its export, it is of another version, it is not signed
                as `verify` asks, or its golden samples give other outputs on this machine.
        """
        folder = find_bundle(bundle)
        manifest = Manifest.read(folder, verify)
        files = manifest.read_files(folder)
        if manifest.profile not in FITS:
            raise ValueError(f"the profile {manifest.profile!r} of {folder} is unknown: update Graft")
        self._manifest = manifest
        self._files = {name: content for name, content in files.items() if name.endswith(_OF_LINES)}
        self.image, self.lines, self._fit = manifest.image, manifest.names, FITS[manifest.profile]
        self._session = open_session(files[MODEL], threads)
        self._task = None if self.lines else manifest.task  # of several lines, each has its own
        self._adapter: ActiveAdapter | None = None
        self._name = SOLE
        self._largest = Watermark(_LIKE)
        self._opened: dict[str, Runtime] = {}
        told = self.image, {name: line.task for name, line in manifest.lines.items()}
        decided = {name: line.decision for name, line in manifest.lines.items() if line.decision is not None}
        if (read_specs(self._session), read_decisions(self._session)) != (told, decided):
            raise ValueError(f"the manifest in {folder} is not the one of its model: export the model again")
        del files  # as large as the model, and the outputs below need room
        if not self.lines:
            self._test_itself()

    @property
    def task(self) -> TaskSpec:
        """What the outputs mean.

        Raises:
            ValueError: Each of several lines has its own: see `line`.
        """
        return self._require_line()

    @property
    def decision(self) -> DecisionSpec | None:
        """What the verdicts are made by; None where the bundle was never certified, or holds several lines."""
        return None if self._task is None else self._manifest.lines[self._name].decision

    def line(self, name: str) -> Runtime:
        """Return the runtime of one line, tested at the first call; all lines share one base in memory.

        Args:
            name: One of `lines`.

        Raises:
            ValueError: There is no such line, its files were changed, or its golden samples give other outputs.
        """
        if name not in self.lines:
            known = f"holds the lines {', '.join(self.lines)}" if self.lines else "is of one line: leave out adapter="
            raise ValueError(f"no line {name!r}, the bundle {known}")
        if name not in self._opened:
            line = copy(self)
            line._task, line._name = self._manifest.lines[name].task, name
            line._adapter = ActiveAdapter(self._content(adapter_file(name)))
            line._test_itself()
            self._opened.setdefault(name, line)
        return self._opened[name]

    def predict(
        self, pictures: Sequence[Pixels | NDArray[np.uint16]], adapter: str | None = None
    ) -> list[Decision | Measurement]:
        """Decide about decoded pictures in one run of the network.

        Args:
            pictures: Arrays of any size, H x W x 3, uint8, RGB, or H x W, uint16, grey; `image` says how they are
                resized, and what white is in the grey ones.
            adapter: The line that decides, in a bundle of several; see `line`.

        Returns:
            One decision for each picture, or a `Measurement` where a value is what was learnt.

        Raises:
            ImageError: An array is no picture, or holds a grey above white.
            TypeError: `pictures` is no sequence of arrays.
            ValueError: As `line`.
        """
        if adapter is not None:
            return self.line(adapter).predict(pictures)
        if isinstance(pictures, np.ndarray) and pictures.ndim < 4:
            raise TypeError("predict takes a list of pictures: predict([picture])")
        pictures = list(pictures)
        if not all(isinstance(picture, np.ndarray) for picture in pictures):
            raise TypeError("predict takes pictures as arrays; for files, decide([load(path)])")
        self._require_line()
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
            ImageError: It is no picture, or of a size that the network does not take.
        """
        fitted = self._checked(self._fit(pixels, self.image))
        if self._largest.is_passed(pixels.nbytes):  # frees what decoding and resizing left
            release_freed_memory()
        return fitted

    def decide(self, batch: Sequence[NDArray[Any]]) -> list[Decision | Measurement]:
        """Decide about pictures such as `load` gives, in one run of the network when they are of one size.

        Args:
            batch: Pictures as the network takes them; with profile `u8` N x H x W x 3, uint8, H x W as `image.size`.

        Returns:
            One decision for each picture.

        Raises:
            ImageError: Logits are not finite: no decision is better than a wrong one.
        """
        if not len(batch):
            return []
        self._require_line()
        outputs = run_named(self._session, batch, self._adapter)
        logits, probabilities, decided = as_outputs(outputs)
        if not np.isfinite(logits).all():
            raise ImageError("the network gives no finite numbers for this picture, so it cannot be decided")
        kind = find_kind(self.task.kind)
        answers = [kind.answer(*each, self.task) for each in zip(probabilities, decided, strict=True)]
        if VERDICT not in outputs:
            return answers
        told = words(outputs[VERDICT])
        return [replace(answer, verdict=word) for answer, word in zip(answers, told, strict=True)]

    def run(self, batch: Sequence[NDArray[Any]]) -> Outputs:
        """Run the network on pictures as it takes them; see `decide`.

        Returns:
            Logits (N x outputs), probabilities (N x classes; N x 0 of values) and decisions: the index of the
            class (N), which labels are there (N x classes, 0 or 1), or the value (N).

        Raises:
            ValueError: As `task`.
        """
        self._require_line()
        return as_outputs(run_named(self._session, batch, self._adapter))

    def _require_line(self) -> TaskSpec:
        return self._manifest.task if self._task is None else self._task

    def _test_itself(self) -> None:
        """Compare the outputs for the golden samples with those of the export, and the verdicts with numpy's."""
        name = golden_file(self._name)
        golden = Golden.from_bytes(self._content(name))
        try:
            found = run_each_named(self._session, golden.inputs, self._adapter)
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise ValueError(f"the model cannot run the inputs of {name}: export it again ({error})") from error
        golden.check(as_outputs(found))
        if self.decision is not None:
            require_verdicts(found, self.task, self.decision)

    def _content(self, name: str) -> bytes:
        """Return a file of the bundle, as it was read and checked at the start."""
        if name not in self._files:
            raise ValueError(f"the bundle has no {name}: export the model again")
        return self._files[name]

    def _checked(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Refuse a picture of another size than the network takes: profile `u8-matmul` is bound to one camera."""
        wanted = self._session.get_inputs()[0].shape[1:]
        if any(isinstance(side, int) and side != length for side, length in zip(wanted, picture.shape, strict=True)):
            raise ImageError(
                f"this bundle takes {wanted[0]} x {wanted[1]} pixels, not {' x '.join(map(str, picture.shape[:2]))}"
            )
        return picture

    def _rgb(self, picture: NDArray[Any]) -> Pixels:
        # By size, not by dtype: cameras deliver either byte order.
        grey = picture.dtype.kind == "u" and picture.itemsize == 2 and picture.ndim == 2
        return scale_grey(picture, self.image.bit_depth) if grey else picture
