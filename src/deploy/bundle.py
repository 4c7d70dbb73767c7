"""Write the bundle that the camera runs, whole or not at all, and only when it passed its gate."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.deploy.exchange import put_in_place
from src.deploy.gate import Verdict
from src.edge.golden import GOLDEN, Golden
from src.edge.manifest import MANIFEST, MODEL, Manifest, sha256

PARITY, README = "parity.json", "README.md"

_TAKEN = {
    "u8": "resized pixels (uint8, N x {height} x {width} x 3, RGB)",
    "u8-resize": "pictures of any size (uint8, N x H x W x 3, RGB)",
    "u8-matmul": "the camera's own pictures (uint8, N x H x W x 3, RGB)",
    "float": "resized and normalised pixels (float32, N x 3 x {height} x {width}, RGB)",
}
_README = """\
# Bundle

`model.onnx` takes {taken} and gives logits, probabilities and the class index.
`manifest.json` says how a picture is resized and what the classes are, and holds the SHA-256 of every file here;
`golden.npz` holds inputs and the outputs that the model must give for them before it serves; `parity.json` holds the
gate's figures. Copy the folder whole, and keep other files out of it. Run it in a checkout of Graft:

    cd graft
    pip install .
    python -m src.predict model=PATH_OF_THIS_FOLDER input=PICTURES
"""


def write_refusal(folder: Path, verdict: Verdict) -> None:
    """Write why a bundle was refused as `<folder>/parity.json`, in place of what was there."""
    with _workshop(folder.parent) as beside:
        new = Path(beside) / "refused"
        new.mkdir()
        _write_json(new / PARITY, verdict.to_dict())
        put_in_place(new, folder)


def write_bundle(folder: Path, model_file: Path, golden: Golden, verdict: Verdict, manifest: Manifest) -> None:
    """Write a bundle beside `folder`, then put it in its place; a kill leaves the old bundle or the new one.

    Args:
        folder: The bundle's folder, replaced when it exists.
        model_file: The ONNX file.
        golden: By what the bundle tests itself.
        verdict: What the gate measured.
        manifest: All that the manifest says but the files.
    """
    with _workshop(folder.parent) as beside:
        new = Path(beside) / "bundle"
        new.mkdir()
        shutil.copyfile(model_file, new / MODEL)
        _write_json(new / PARITY, verdict.to_dict())
        (new / GOLDEN).write_bytes(golden.to_bytes())
        height, width = manifest.image.size
        taken = _TAKEN[manifest.profile].format(height=height, width=width)
        (new / README).write_text(_README.format(taken=taken), encoding="utf-8")
        files = {path.name: sha256(path.read_bytes()) for path in sorted(new.iterdir())}
        _write_json(new / MANIFEST, replace(manifest, files=files).to_dict())
        put_in_place(new, folder)


def _workshop(parent: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=".edge-", dir=parent)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")
