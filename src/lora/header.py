"""What an adapter file says of itself, in the JSON beside its tensors.

Format 2: `base` holds a hash of the base's values, their precisions, and how the base is built (zlib, base64);
`base_hash` is one hash over these. Format 1, the older one, has a hash of the values alone, called `base_hash`: such
files are read, with a warning.
"""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .fingerprint import Fingerprint, Structure, difference
from .settings import LoraSettings
from .targets import MARK, ROLES

log = logging.getLogger(__name__)
FORMAT, READABLE = 2, (1, 2)
LARGEST = 64 << 20  # bytes of an unpacked structure, against zip bombs; timm's largest has 0.3 M


class AdapterError(ValueError):
    """The file is no adapter, or not one for this model."""


@dataclass(frozen=True)
class AdapterHeader:
    """What an adapter file says of itself: LoRA settings, its base, how many of its norms were folded, and metadata."""

    settings: LoraSettings
    base: Fingerprint
    folded: int
    metadata: dict[str, Any]

    @property
    def base_hash(self) -> str:
        """The hash of the base."""
        return self.base.hash

    def to_text(self) -> str:
        """Return it as a file holds it.

        Raises:
            ValueError: The metadata are not JSON-ready.
        """
        packed = zlib.compress(json.dumps(self.base.structure, sort_keys=True).encode(), 9)
        header = {
            "format": FORMAT,
            "lora": self.settings.to_dict(),
            "base_hash": self.base.hash,
            "base": {
                "values": self.base.values,
                "dtypes": list(self.base.dtypes),
                "structure": base64.b64encode(packed).decode(),
            },
            "folded": self.folded,
            "metadata": self.metadata,
        }
        return json.dumps(header, sort_keys=True, allow_nan=False)

    def check_base(self, path: Path, here: Fingerprint) -> None:
        """Refuse the adapter in `path` for a model with the fingerprint `here`, unless that is its base.

        Raises:
            AdapterError: It was trained on other values, in another precision, or on a network that is built otherwise.
        """
        there = self.base
        if there.values != here.values:
            if there.dtypes and there.dtypes != here.dtypes:
                inside, outside = (" and ".join(dtypes) for dtypes in (there.dtypes, here.dtypes))
                raise AdapterError(
                    f"{path} was trained on a base in {inside}, and this model is in {outside}: bring the plain model "
                    f"there first, as model.to(torch.{there.dtypes[0]}) does"
                )
            raise AdapterError(
                f"{path} was trained on another base (hash {there.values[:12]}, this model {here.values[:12]}): "
                "create the backbone with the name and weights that the adapter names"
            )
        if there.structure is None:
            log.warning(
                "%s was written before adapter files recorded how their base is built: its weights match this model, "
                "but a stride, a padding or an activation may differ; save it again to have that checked",
                path,
            )
            return
        assert here.structure is not None
        other = difference(there.structure, here.structure)
        if other is not None:
            raise AdapterError(
                f"{path} was trained on another base: one of the same weights, but {other}; create the backbone with "
                "the name and options, and the timm version, that it was trained with"
            )


def parse_header(path: Path, text: str, dtypes: Iterable[str]) -> AdapterHeader:
    """Return the header that a file holds as `text`, beside tensors of `dtypes`.

    Raises:
        AdapterError: This version cannot read it.
    """
    try:
        header = json.loads(text)
        if header["format"] not in READABLE:
            raise AdapterError(f"{path} has format {header['format']}, this Graft reads {FORMAT}: train it again")
        settings, base = _of_format_1(header, dtypes) if header["format"] == 1 else _of_format_2(header)
        return AdapterHeader(LoraSettings(**settings), base, int(header["folded"]), dict(header["metadata"]))
    except AdapterError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError, zlib.error) as error:
        raise AdapterError(f"{path} is no Graft adapter that this version can read ({error})") from error


def _of_format_1(header: Mapping[str, Any], dtypes: Iterable[str]) -> tuple[dict[str, Any], Fingerprint]:
    """Return settings and base of format 1, where a word was always a role and adapters had the base's precision."""
    settings = dict(header["lora"])
    if isinstance(settings["targets"], list):
        settings["targets"] = [f"{MARK}{word}" if word in ROLES else word for word in settings["targets"]]
    return settings, Fingerprint(str(header["base_hash"]), tuple(sorted(set(dtypes))))


def _of_format_2(header: Mapping[str, Any]) -> tuple[dict[str, Any], Fingerprint]:
    base = header["base"]
    text = zlib.decompressobj().decompress(base64.b64decode(base["structure"]), LARGEST)
    structure: Structure = json.loads(text)
    if not all(isinstance(settings, dict) for settings in structure.values()):
        raise ValueError("its base has no settings by module")
    return header["lora"], Fingerprint(str(base["values"]), tuple(map(str, base["dtypes"])), structure)
