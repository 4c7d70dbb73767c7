"""The data gate: run all checks on a set of images, and decide whether a training may begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...near import near
from .collection import Collection
from .findings import CHECKS, Finding

# Findings that stop a training unless allowed; a class that a split lacks stops it in any case.
STOPS = ("exact_duplicates_across_splits", "near_duplicates_across_splits", "groups_across_splits")
_QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


@dataclass(frozen=True)
class Audit:
    """What the gate says of a set of images.

    Attributes:
        findings: What was found; those that stop a training first.
        allowed: Kinds that stop nothing here.
        collection: What was looked at.
    """

    findings: tuple[Finding, ...]
    allowed: tuple[str, ...]
    collection: Collection

    @property
    def stopping(self) -> tuple[Finding, ...]:
        """The findings with which no training may begin."""
        return tuple(finding for finding in self.findings if finding.stops and finding.kind not in self.allowed)

    @property
    def allowable(self) -> tuple[str, ...]:
        """Kinds of `stopping` that `data.allow` takes; nothing but images helps a class that a split lacks."""
        return tuple(finding.kind for finding in self.stopping if finding.kind in STOPS)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values; images are named by their path."""
        data = self.collection
        paths = [str(sample.path) for sample in data.samples]
        return {
            "passed": not self.stopping,
            "images": len(paths),
            "readable": len(data.readable),
            "counts": data.counts,
            "findings": [
                {
                    "kind": finding.kind,
                    "stops": finding in self.stopping,
                    "text": finding.text,
                    "images": [[paths[position] for position in together] for together in finding.images],
                }
                for finding in self.findings
            ],
            "skipped": [{"path": str(path), "reason": reason} for path, reason in data.skipped],
            "ignored": data.ignored,
            "errors": {paths[position]: reason for position, reason in sorted(data.errors.items())},
            "duplicates": {
                "exact_pairs": len(data.duplicates.exact),
                "near_pairs": len(data.duplicates.near),
                "near_pairs_across_splits": len(data.across(data.duplicates.near)),
                "near_pairs_across_splits_if_cut_blindly": data.parted,
                "hash_hits": data.duplicates.hits,
                "compared": data.duplicates.compared,
            },
            "label_errors": [{**asdict(suspect), "path": paths[suspect.position]} for suspect in data.labels.suspects]
            if data.labels.examined
            else None,
            "labels": {"examined": data.labels.examined, "not_examined": data.labels.reason},
            **_describe(data),
        }


def check(collection: Collection, allowed: Sequence[str] = ()) -> Audit:
    """Run every check.

    Args:
        collection: The images.
        allowed: Kinds of findings that are known and stop nothing, some of `STOPS`.

    Raises:
        ValueError: As `allowed_kinds`.
    """
    findings = [finding for look in CHECKS for finding in look(collection)]
    return Audit(tuple(sorted(findings, key=lambda finding: not finding.stops)), allowed_kinds(allowed), collection)


def allowed_kinds(allow: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of findings that stop nothing; one alone needs no brackets.

    Raises:
        ValueError: One is none of `STOPS`.
    """
    kinds = (allow,) if isinstance(allow, str) else tuple(allow or ())
    for kind in kinds:
        if kind not in STOPS:
            hint = near(str(kind), STOPS)
            raise ValueError(f"data.allow={kind} is no finding that stops{hint}: choose from {', '.join(STOPS)}")
    return kinds


def _describe(data: Collection) -> dict[str, Any]:
    """Return what the pictures are like: sizes and modes with their number, quantiles of brightness and sharpness."""
    image_stats = data.image_stats[data.readable]
    if not len(image_stats):
        return {"sizes": {}, "modes": {}, "brightness": [], "sharpness": []}
    sizes = Counter(
        f"{width} x {height}" for width, height in zip(image_stats["width"], image_stats["height"], strict=True)
    )
    return {
        "sizes": dict(sizes.most_common()),
        "modes": dict(Counter(mode.decode() for mode in image_stats["mode"]).most_common()),
        **{
            name: [round(float(value), 4) for value in np.quantile(image_stats[name], _QUANTILES)]
            for name in ("brightness", "sharpness")
        },
    }
