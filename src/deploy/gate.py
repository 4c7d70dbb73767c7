"""The verdict of the gate: what was measured, and whether the bundle ships."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .halves import Halves
from .openvino import NAME as OPENVINO
from .parity import Parity
from .search import Search
from .speed import Speed

_FIGURES = ("max_abs_logit_diff", "mean_abs_logit_diff", "changed_decisions", "passed", "limits")

_SUMMARY = (
    *("split", "images", "max_abs_logit_diff", "mean_abs_logit_diff", "logit_scale", "changed_decisions"),
    *("accuracy_torch", "accuracy_onnx", "auroc_torch", "auroc_onnx"),
)


@dataclass(frozen=True)
class Verdict:
    """What was measured of a model that asks to be shipped.

    Attributes:
        precision: Number format that was asked for.
        stages: Each stage against the trained model, on the deciding split; the shipped stage has the name of the
            precision, and other runtimes follow it.
        also: The stages on the other splits, which are reported.
        speed: Against the fp32 file; None for that file itself.
        search: How the int8 model was found.
        halves: The images of the deciding split that chose the shipped stage, and those that accept it; None where all
            accept.
        too_few: Why the images cannot accept any file, where nothing was converted therefore.
    """

    precision: str
    stages: tuple[Parity, ...]
    also: Mapping[str, tuple[Parity, ...]] = field(default_factory=dict)
    speed: Speed | None = None
    search: Search | None = None
    halves: Halves | None = None
    too_few: str | None = None

    @property
    def parity(self) -> Parity:
        """Figures of the shipped stage on the deciding split."""
        return self._shipped(self.stages)

    @property
    def passed(self) -> bool:
        """Whether the bundle ships."""
        return not self.reasons()

    def reasons(self) -> list[str]:
        """Return the reasons against the bundle, each in a few words; none if it ships.

        A stage is named where it is not the shipped one.
        """
        found = [(stage.stage, text) for stage in self.stages for text in stage.broken()]
        told = [text if stage == self.precision else f"{stage}: {text}" for stage, text in found]
        told += [self.too_few] if self.too_few else []
        if self.search and self.search.ended:
            told.append(f"no choice of layers passes: {self.search.ended}")
        return told + (self.speed.broken() if self.speed else [])

    def evidence(self) -> str:
        """Return what the images prove of the shipped stage; empty where nothing was asked for."""
        return self.parity.evidence()

    def remarks(self) -> list[str]:
        """Return the limits that are broken on the other splits, each in a few words."""
        stages = [(split, stage) for split, stages in self.also.items() for stage in stages]
        return [f"{split}, {stage.stage}: {text}" for split, stage in stages for text in stage.broken()]

    def describe(self) -> str:
        """Return the figures of the shipped stage in one line."""
        speed = f", {self.speed.speedup:.2f} times as fast as fp32" if self.speed else ""
        elsewhere = "".join(
            f"; in OpenVINO max |d logit| {stage.max_abs_logit_diff:.2e}, {stage.changed_decisions} changed decisions"
            for stage in self.stages
            if stage.stage == OPENVINO
        )
        return self.parity.describe() + speed + elsewhere

    def summary(self) -> dict[str, Any]:
        """Return the figures that the manifest repeats."""
        return summarise(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return what `parity.json` holds."""
        return {
            **self.parity.to_dict(),
            "passed": self.passed,
            "precision": self.precision,
            "reasons": self.reasons(),
            "stages": _table(self.stages),
            "speed": self.speed and self.speed.to_dict(),
            "search": self.search and self.search.to_dict(),
            "choosing_images": len(self.halves.choosing) if self.halves else 0,
            "also": {
                split: {**self._shipped(stages).to_dict(), "stages": _table(stages)}
                for split, stages in self.also.items()
            },
        }

    def _shipped(self, stages: tuple[Parity, ...]) -> Parity:
        """Return the shipped stage, or the last one where the gate stopped before it."""
        return next((stage for stage in stages if stage.stage == self.precision), stages[-1])


def summarise(parity: Mapping[str, Any]) -> dict[str, Any]:
    """Return those figures of a `parity.json` that the manifest repeats."""
    return {key: parity[key] for key in _SUMMARY}


def _table(stages: tuple[Parity, ...]) -> list[dict[str, Any]]:
    """Return a row for the trained model and one for each stage."""
    first = {
        "stage": "trained",
        "images": stages[0].images,
        "accuracy": stages[0].accuracy_torch,
        "auroc": stages[0].auroc_torch,
    }
    rows = [(stage, stage.to_dict()) for stage in stages]
    return [first] + [
        {"stage": stage.stage, "images": stage.images, "accuracy": stage.accuracy_onnx, "auroc": stage.auroc_onnx}
        | {key: values[key] for key in _FIGURES}
        for stage, values in rows
    ]
