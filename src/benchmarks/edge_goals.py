"""What suite `edge` is to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .suite import Options, Row, Summary

MB = 1e6


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        key: The figure, in the rows of the precisions.
        text: What it is, for people.
        limit: What it is to be at most, for every model or by model; a model that is not named has no such goal.
        write: Writes the figure and the limit.
        precisions: Of merged files.
        least: The limit is to be reached from above.
    """

    key: str
    text: str
    limit: float | Mapping[str, float]
    write: Callable[[float], str] = "{:.3f}".format
    precisions: tuple[str, ...] = ("fp32", "int8")
    least: bool = False

    def limit_of(self, model: str) -> float | None:
        """Return the model's limit, if it has one."""
        return self.limit.get(model) if isinstance(self.limit, Mapping) else self.limit


@dataclass(frozen=True)
class Outcome:
    """A goal's figure in one row; `value` is None where it was not measured."""

    goal: Goal
    model: str
    precision: str
    value: float | None
    limit: float

    @property
    def reached(self) -> bool:
        """Whether the figure was measured and keeps the limit."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.goal.least else self.value <= self.limit

    def line(self) -> str:
        """Return the outcome on one line."""
        word = "reached" if self.reached else "missed" if self.value is not None else "not measured"
        figure = "" if self.value is None else f" {self.goal.write(self.value)},"
        bound = f"{'at least' if self.goal.least else 'at most'} {self.goal.write(self.limit)}"
        return f"{word}: {self.model}, {self.precision}: {self.goal.text}{figure} goal {bound}"

    def to_dict(self) -> Row:
        """Return the outcome as JSON-ready values."""
        labels = {"model": self.model, "precision": self.precision, "goal": self.goal.key}
        return {**labels, "value": self.value, "limit": self.limit, "reached": self.reached}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


_INT8 = {"tf_efficientnet_lite0": 0.5, "resnet18": 0.35}
_PEAK = {"tf_efficientnet_lite0": 150 * MB}
GOALS = (
    Goal("ratio_to_base", "merged file's time of the base's own, medians", 1.02, precisions=("fp32",)),
    Goal("min_ratio_to_base", "merged file's time of the base's own, minima", 1.02, precisions=("fp32",)),
    Goal("ratio_to_fp32", "time of fp32's, medians", _INT8, precisions=("int8",)),
    Goal("min_ratio_to_fp32", "time of fp32's, minima", _INT8, precisions=("int8",)),
    Goal("overhead_ratio", "predict's own time of the network's, medians", 0.1, _percent),
    Goal("min_overhead_ratio", "predict's own time of the network's, minima", 0.1, _percent),
    Goal("start_seconds", "start to first decision beside the imports, median", 1.0, "{:.2f} s".format),
    Goal("peak_bytes", "peak memory of predict", _PEAK, lambda size: f"{size / MB:.0f} MB"),
    Goal("pipeline_ratio", "throughput of the slower stage's, medians", 0.9, least=True),
    Goal("min_pipeline_ratio", "throughput of the slower stage's, minima", 0.9, least=True),
)


def outcomes(rows: Sequence[Row]) -> list[Outcome]:
    """Judge every goal on the rows that it is about."""
    return [
        Outcome(goal, row["model"], row["precision"], row.get(goal.key), limit)
        for row in rows
        if row["method"] == "merged"
        for goal in GOALS
        if row["precision"] in goal.precisions and (limit := goal.limit_of(row["model"])) is not None
    ]


def summarise(options: Options, rows: Sequence[Row], machine: Mapping[str, Any]) -> Summary:
    """Say which goals are reached, and under which conditions each model was measured."""
    judged = outcomes(rows)
    conditions = {row["model"]: _conditions(row) for row in rows if "gemm_gflops" in row and row["precision"] == "int8"}
    peaks = {row["model"]: row["gemm_gflops"] for row in rows if "gemm_gflops" in row and row["precision"] == "fp32"}
    lines = [
        f"{model}: {text}; matrix product fp32 {peaks[model]:.0f} GFLOP/s, {end}"
        for model, (text, end) in conditions.items()
    ]
    facts = {"goals": [each.to_dict() for each in judged]}
    return Summary(facts, (*(each.line() for each in judged), *lines))


def _conditions(row: Row) -> tuple[str, str]:
    text = (
        f"n {row['n']}, warm-up {row['warm_up']}, batch {row['batch']}, threads {row['threads']}, "
        f"spinning {'on' if row['spinning'] else 'off'}, {row['provider']}, load {row['load']:.1f}; "
        f"decode {row['decode_p50_ms']:.1f} ms, resize {row['resize_p50_ms']:.1f} ms; libraries imported in "
        f"{row['import_seconds']:.2f} s, the int8 bundle loaded in {row['load_ms']:.0f} ms; "
        f"two threads do {row['free_cores']:.2f} times the work of one"
    )
    return text, f"int8 {row['gemm_gflops']:.0f} GOP/s (medians)"
