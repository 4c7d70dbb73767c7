"""The bundle's manifest: inputs and outputs of the ONNX file, and the hashes of all files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ..absent import no_bundle
from ..kinds import read_task
from ..spec import DecisionSpec, ImageSpec, TaskSpec
from .files import read_file
from .signature import SIGNATURE, require_signature

FORMAT = 2
MODEL, MANIFEST = "model.onnx", "manifest.json"
SOLE = ""  # name of the line in a bundle of one line, whose model needs no adapter
_KEYS = ("files", "image", "task", "precision", "profile", "provenance", "parity", "lines", "format")


class _NewerError(ValueError):
    """The manifest is from a later version of Graft."""


@dataclass(frozen=True)
class Line:
    """One line that a bundle decides for, with an adapter of its own where several share the model.

    Attributes:
        task: What the outputs mean for it.
        provenance: Where its adapter comes from.
        parity: The gate's figures on the deciding split.
        decision: What its verdicts are made by; None of a bundle that was never certified.
    """

    task: TaskSpec
    provenance: dict[str, Any]
    parity: dict[str, Any]
    decision: DecisionSpec | None = None


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` holds.

    Attributes:
        files: SHA-256 (hexadecimal) of every other file of the bundle, by name.
        image: How a picture becomes the network's input.
        lines: The lines that share the model, by name; a bundle of one line holds it as `SOLE`.
        precision: Number format of the weights, such as `fp32`.
        profile: Input of the network; one of `src.choices.PROFILES`.
        provenance: Where the bundle comes from: adapter, base, versions, date.
        parity: The gate's figures on the deciding split; of several lines, those of the worst.
        format: Version of this file's layout.
    """

    files: dict[str, str]
    image: ImageSpec
    lines: dict[str, Line]
    precision: str
    profile: str
    provenance: dict[str, Any]
    parity: dict[str, Any]
    format: int = FORMAT

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the lines to choose from; empty where there is only one."""
        return tuple(name for name in self.lines if name != SOLE)

    @property
    def task(self) -> TaskSpec:
        """What the outputs of a bundle of one line mean.

        Raises:
            ValueError: Each of several lines has its own task.
        """
        if self.names:
            raise ValueError(f"this bundle holds the lines {', '.join(self.names)}: choose one with adapter=NAME")
        return self.lines[SOLE].task

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON-ready values, with the hash of them all.

        A bundle of one line has its task and its decision at the top level and empty `lines`, which the oldest files do
        not have. A line that was never certified has no decision.
        """
        values = asdict(self)  # tuples are lists to JSON
        for line in values["lines"].values():
            if line["decision"] is None:
                del line["decision"]
        sole = values["lines"].pop(SOLE, {})
        decided = {"decision": sole["decision"]} if "decision" in sole else {}
        values = {key: values[key] if key in values else sole.get("task") for key in _KEYS} | decided
        return values | {"sha256": _hash(values)}

    def read_files(self, bundle: Path) -> dict[str, bytes]:
        """Return the content of every file of the bundle but the manifest, by name.

        Raises:
            ValueError: A file is missing, was changed, cannot be read, or does not belong to the bundle.
        """
        found = {path.name for path in bundle.iterdir()} - {MANIFEST, SIGNATURE}
        missing, surplus = sorted(set(self.files) - found), sorted(found - set(self.files))
        if missing:
            raise ValueError(f"{bundle / missing[0]} is missing: copy the whole bundle again")
        if surplus:
            raise ValueError(f"{bundle / surplus[0]} is no part of the bundle: remove it, or copy the bundle again")
        contents = {name: read_file(bundle / name) for name in sorted(found)}
        for name, content in contents.items():
            if self.files[name] != sha256(content):
                raise ValueError(f"{bundle / name} was changed or cut after its export: copy the bundle again")
        return contents

    @classmethod
    def read(cls, bundle: Path, verify: str | Path | None = None) -> Self:
        """Read the manifest of a bundle's folder.

        Args:
            bundle: The folder.
            verify: Public key of whoever must have signed it, a PEM file.

        Raises:
            ValueError: It is missing, broken, of a format that this version of Graft does not know, or not signed.
        """
        path = bundle / MANIFEST
        try:
            content = read_file(path)
        except FileNotFoundError as error:
            raise ValueError(f"{path} is missing: export the model again, or copy the whole bundle") from error
        if verify is not None:
            require_signature(content, bundle, verify)
        try:
            return cls._parse(json.loads(content))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path} cannot be used, it is damaged ({error}): copy the bundle again, or export the model again"
            ) from error
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            way_out = "update Graft, or " if isinstance(error, _NewerError) else ""
            raise ValueError(f"{path} cannot be used ({error}): {way_out}export the model again") from error

    @classmethod
    def _parse(cls, values: dict[str, Any]) -> Self:
        form = values.get("format") if isinstance(values, dict) else None
        if form != FORMAT:
            newer = isinstance(form, int) and form > FORMAT
            raise (_NewerError if newer else ValueError)(f"this version of Graft reads format {FORMAT}")
        if not isinstance(values.get("files"), dict):
            raise ValueError("it lists no files")
        stated = values.pop("sha256", None)
        computed = _hash(values)
        image, task, lines = ImageSpec.from_dict(values.pop("image")), values.pop("task"), values.pop("lines", {})
        if lines and (task is not None or SOLE in lines):
            raise ValueError("it names one task and several lines")
        sole = {"task": task, "provenance": values["provenance"], "parity": values["parity"]}
        if not lines and "decision" in values:
            sole["decision"] = values.pop("decision")
        lines = lines or {SOLE: sole}
        manifest = cls(
            image=image,
            lines={name: _line(line) for name, line in lines.items()},
            **values,
        )
        if stated != computed:
            raise ValueError("it was changed after its export")
        return manifest


def _line(values: dict[str, Any]) -> Line:
    decided = {"decision": DecisionSpec.from_dict(values["decision"])} if "decision" in values else {}
    return Line(**{**values, "task": read_task(values["task"]), **decided})


def find_bundle(path: str | Path) -> Path:
    """Return the folder of the bundle that `path` names.

    Args:
        path: The bundle, its `model.onnx`, or a run folder (or a link to one) that holds the bundle as `edge`.

    Raises:
        ValueError: There is no bundle.
    """
    start = Path(path)
    if start.name == MODEL and start.is_file():
        return start.parent
    for folder in (start, start / "edge"):
        if (folder / MODEL).is_file():
            return folder
    if (start / "latest" / "edge" / MODEL).is_file():
        raise ValueError(f"{path} holds runs, not a bundle: give {start / 'latest'}")
    raise ValueError(no_bundle(path))


def _hash(values: dict[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode())


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
