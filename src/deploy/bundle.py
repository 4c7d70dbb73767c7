"""Write the bundle that the camera runs, whole or not at all, and only when it passed its gate."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from src.deploy.exchange import put_in_place
from src.deploy.graph import export_onnx
from src.deploy.parity import Parity, Samples, check_parity
from src.edge.manifest import MANIFEST, MODEL, Manifest, sha256
from src.spec import ImageSpec, TaskSpec

PARITY, README = "parity.json", "README.md"


@dataclass(frozen=True)
class Candidate:
    """A model that asks to be shipped; both networks on the CPU, in fp32 and eval mode.

    Attributes:
        trained: The model as it was trained, adapters unmerged: what the file must equal.
        merged: The plain network that is exported.
        image: How a picture becomes the network's input.
        task: Classes and views.
    """

    trained: nn.Module
    merged: nn.Module
    image: ImageSpec
    task: TaskSpec


_README = """\
# Bundle

`model.onnx` takes pixels (uint8, N x {height} x {width} x 3, RGB) and gives logits, probabilities and the class index.
`manifest.json` says how a picture is resized and what the classes are; `parity.json` holds the gate's figures.
Run it in a checkout of Graft:

    cd graft
    pip install .
    python -m src.predict model=PATH_OF_THIS_FOLDER input=PICTURES
"""


def ship(
    candidate: Candidate, samples: Mapping[str, Samples], run: Path, precision: str, provenance: dict[str, Any]
) -> Parity:
    """Export a model, compare the file with the model as it was trained, and replace `<run>/edge` when it passed.

    A refused bundle leaves `<run>/edge` as it was, and its figures in `<run>/edge-refused-<precision>/parity.json`.

    Args:
        candidate: The model, trained and merged.
        samples: Path and class name of the pictures to compare, by split; the first split decides, the others are
            measured and reported.
        run: The run folder.
        precision: Number format to ship.
        provenance: Where the model comes from, as JSON-ready values.

    Returns:
        What the gate measured on the split that decides; `passed` says which of the two happened.

    Raises:
        ValueError: The precision is not available, the model cannot be exported, or a picture cannot be used.
    """
    _check_precision(precision)
    image, task = candidate.image, candidate.task
    with _workshop(run) as folder:
        file = Path(folder) / MODEL
        export_onnx(candidate.merged, image, task, file)
        parities = [
            check_parity(candidate.trained, image, task, file, pictures, split, precision)
            for split, pictures in samples.items()
        ]
        if parities[0].passed:
            write_bundle(run / "edge", file, image, task, parities, provenance)
        else:
            _write_refusal(run / f"edge-refused-{precision}", parities)
    return parities[0]


def _figures(parities: Sequence[Parity]) -> dict[str, Any]:
    """Return what `parity.json` holds: the split that decided, and the others under `also`."""
    first, *others = parities
    return {**first.to_dict(), "also": {parity.split: parity.to_dict() for parity in others}}


def _write_refusal(folder: Path, parities: Sequence[Parity]) -> None:
    with _workshop(folder.parent) as beside:
        new = Path(beside) / "refused"
        new.mkdir()
        _write_json(new / PARITY, _figures(parities))
        put_in_place(new, folder)


def write_bundle(
    folder: Path,
    model_file: Path,
    image: ImageSpec,
    task: TaskSpec,
    parities: Sequence[Parity],
    provenance: dict[str, Any],
) -> None:
    """Write a bundle beside `folder`, then put it in its place; a kill leaves the old bundle or the new one.

    Args:
        folder: The bundle's folder, replaced when it exists.
        model_file: The ONNX file.
        image: How a picture becomes the network's input.
        task: Classes and views.
        parities: The gate's figures, those of the split that decided first.
        provenance: Where the model comes from, as JSON-ready values.
    """
    with _workshop(folder.parent) as beside:
        new = Path(beside) / "bundle"
        new.mkdir()
        shutil.copyfile(model_file, new / MODEL)
        _write_json(new / PARITY, _figures(parities))
        height, width = image.size
        (new / README).write_text(_README.format(height=height, width=width), encoding="utf-8")
        files = {path.name: sha256(path.read_bytes()) for path in sorted(new.iterdir())}
        manifest = Manifest(files, image, task, parities[0].precision, provenance)
        _write_json(new / MANIFEST, manifest.to_dict())
        put_in_place(new, folder)


def _workshop(parent: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=".edge-", dir=parent)


def _check_precision(precision: str) -> None:
    if precision in ("fp16", "int8"):
        raise ValueError("int8 and fp16 come later: use precision=fp32")
    if precision != "fp32":
        raise ValueError(f"unknown precision {precision!r}: use precision=fp32")


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")
