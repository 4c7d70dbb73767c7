"""Write a bundle, or the figures of a refusal, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..atomic import whole_folder, write_bytes, write_json, write_text
from ..edge.manifest import MANIFEST, SOLE, Manifest, sha256
from ..edge.signature import SIGNATURE, Signer

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
{lines}`manifest.json` says how a picture is resized and what the classes are, and holds the SHA-256 of every file here;
`{golden}` holds inputs and the outputs that the model must give for them before it serves; `parity.json` holds the
gate's figures. Copy the folder whole, and keep other files out of it. Run it in a checkout of Graft:

    cd graft
    pip install .
    graft predict model=PATH_OF_THIS_FOLDER{choice} input=PICTURES
"""

_VERDICT = """\
Its output `verdict` says what is done with the part: 0 pass, 1 reject, 2 review by a person, 3 unknown; `decision` in
`manifest.json` holds the thresholds and what they promise.
"""


def require_replaceable(bundle: Path, refusal: Path, sign: Signer | None = None) -> None:
    """Refuse to replace anything but an earlier bundle or refusal, and to write into another bundle.

    Args:
        bundle: The folder of the bundle.
        refusal: The folder of the figures if it is refused.
        sign: As `write_bundle`.

    Raises:
        ValueError: The folder holds something else, or an unsigned bundle would replace a signed one.
    """
    if sign is None and (bundle / SIGNATURE).exists():
        raise ValueError(f"{bundle} is signed: sign the new one too, by sign=KEY, or remove the folder first")
    if bundle.exists() and not (bundle / MANIFEST).is_file() and not is_empty(bundle):
        raise ValueError(f"{bundle} is there and is no bundle: move it away, it would be replaced")
    if refusal.exists() and not (refusal.is_dir() and {path.name for path in refusal.iterdir()} <= {PARITY}):
        raise ValueError(f"{refusal} is there, where the figures of a refusal belong: move it away")
    for parent in bundle.resolve().parents:
        if (parent / MANIFEST).is_file():
            raise ValueError(
                f"{bundle} lies in the bundle {parent}, which could not be served any more: choose a place outside"
            )


def is_empty(folder: Path) -> bool:
    """Return whether `folder` is an empty folder, which a bundle may replace."""
    return folder.is_dir() and not any(folder.iterdir())


def write_refusal(folder: Path, parity: dict[str, Any]) -> None:
    """Write the figures of a refused bundle as `<folder>/parity.json`, in place of earlier ones."""
    with whole_folder(folder) as new:
        write_json(new / PARITY, parity)


def write_bundle(
    folder: Path,
    contents: Mapping[str, bytes],
    parity: dict[str, Any],
    manifest: Manifest,
    sign: Signer | None = None,
) -> None:
    """Write a bundle; if the process is killed, the old bundle or the new one is there.

    Args:
        folder: The bundle's folder, replaced when it exists.
        contents: The model, the golden samples, and the adapters of the lines, by name of the file.
        parity: The figures of the gate.
        manifest: The manifest, still without files.
        sign: Signs the manifest, where the bundle is to be signed.
    """
    with whole_folder(folder) as new:
        for name, content in contents.items():
            write_bytes(new / name, content)
        write_json(new / PARITY, parity)
        write_text(new / README, _readme(manifest))
        files = {path.name: sha256(path.read_bytes()) for path in sorted(new.iterdir())}
        write_json(new / MANIFEST, replace(manifest, files=files).to_dict())
        if sign is not None:
            write_bytes(new / SIGNATURE, sign((new / MANIFEST).read_bytes()))


def _readme(manifest: Manifest) -> str:
    height, width = manifest.image.size
    taken = _TAKEN[manifest.profile].format(height=height, width=width)
    if not manifest.names:
        verdict = "" if manifest.lines[SOLE].decision is None else _VERDICT
        return _README.format(taken=taken, lines=verdict, golden="golden.npz", choice="")
    named = ", ".join(f"`{name}`" for name in manifest.names)
    lines = f"\nIt is the base of the lines {named}; `<line>.onnx_adapter` holds what a line adds to it.\n"
    return _README.format(taken=taken, lines=lines, golden="<line>.npz", choice=f" adapter={manifest.names[0]}")
