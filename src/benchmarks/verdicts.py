"""Means over seeds and sets, and what they say about the claims of LoRA."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .suite import Row

CLAIMANT = "graft"
ALL = "all"  # sets together
FIGURES = (
    "balanced_accuracy",
    "auroc",
    "val_balanced_accuracy",
    "seconds",
    "seconds_to_full_score",
    "peak_mib",
    "adapter_bytes",
    "checkpoint_bytes",
    "forgetting_max_abs",
)
WORST = ("forgetting_max_abs",)  # of which the largest counts, not the mean
ROUNDING = 1e-9
Pairs = Sequence[tuple[Row, Row]]  # rows of one set: LoRA's and its reference's, of the same seed


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        name: Its key in `benchmark.json`.
        text: What is claimed.
        reference: The method that LoRA is compared with.
        measure: The value on one set: infinite where the claim cannot be met, None where there is nothing to judge.
        holds: Whether a value meets the claim.
        write: The value for people.
        merge: The value of several sets from those of each.
    """

    name: str
    text: str
    reference: str
    measure: Callable[[Pairs], float | None]
    holds: Callable[[float], bool]
    write: Callable[[float], str]
    merge: Callable[[Iterable[float]], float] = statistics.fmean


@dataclass(frozen=True)
class Verdict:
    """What was found about a claim on one data set, or on all: `passed` is None where nothing could be judged."""

    model: str
    dataset: str
    claim: Claim
    value: float | None
    passed: bool | None

    @property
    def figure(self) -> str:
        """The value for people."""
        if self.value is None:
            return "no room" if self.claim.name == "above_head" else "not measured"
        return self.claim.write(self.value) if math.isfinite(self.value) else "never"

    @property
    def word(self) -> str:
        """The outcome for people."""
        return "open" if self.passed is None else "pass" if self.passed else "missed"

    def line(self) -> str:
        """Return the verdict on one line."""
        return f"{self.model}, {self.dataset}: {self.word}: {self.claim.text} ({self.figure})"

    def to_dict(self) -> Row:
        """Return the verdict for `benchmark.json`."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        own = {"model": self.model, "dataset": self.dataset, "claim": self.claim.name, "text": self.claim.text}
        return {**own, "method": CLAIMANT, "value": value, "passed": self.passed}


def means(rows: Sequence[Row]) -> list[Row]:
    """Return the means of every method over the seeds of each set, then over all sets where it was measured in all.

    A figure that some trial lacks is None: a score that one seed never reaches has no mean time.
    """
    good = [row for row in rows if "error" not in row]
    found = []
    for model in _distinct(good, "model"):
        own = [row for row in good if row["model"] == model]
        sets, methods = _distinct(own, "dataset"), _distinct(own, "method")
        by_set = {(name, method): _of(own, dataset=name, method=method) for name in sets for method in methods}
        each = {key: _mean(trials) for key, trials in by_set.items() if trials}
        found += [{**_labels(model, *key), "seeds": len(by_set[key]), **figures} for key, figures in each.items()]
        for method in methods:
            parts = [each[name, method] for name in sets if (name, method) in each]
            if len(parts) == len(sets):
                found.append({**_labels(model, ALL, method), "sets": len(sets), **_mean(parts)})
    return found


def judge(rows: Sequence[Row]) -> list[Verdict]:
    """Return the verdict on every claim for each set, and for several together, each set counting the same."""
    good = [row for row in rows if "error" not in row]
    verdicts = []
    for model in _distinct(good, "model"):
        own = [row for row in good if row["model"] == model]
        sets = _distinct(own, "dataset")
        for claim in CLAIMS:
            values = {name: claim.measure(pairs) for name in sets if (pairs := _pairs(own, name, claim.reference))}
            verdicts += [_verdict(model, name, claim, values.get(name)) for name in sets]
            judged = [value for value in values.values() if value is not None]
            if len(sets) > 1:
                verdicts.append(_verdict(model, ALL, claim, claim.merge(judged) if judged else None))
    return verdicts


def _verdict(model: str, dataset: str, claim: Claim, value: float | None) -> Verdict:
    return Verdict(model, dataset, claim, value, None if value is None else math.isfinite(value) and claim.holds(value))


def _pairs(rows: Sequence[Row], dataset: str, reference: str) -> Pairs:
    references = {row["seed"]: row for row in _of(rows, dataset=dataset, method=reference)}
    ours = _of(rows, dataset=dataset, method=CLAIMANT)
    return [(row, references[row["seed"]]) for row in ours if row["seed"] in references]


def _points_above(pairs: Pairs) -> float | None:
    """Return by how much LoRA's mean balanced accuracy is above the reference's."""
    ours, theirs = (statistics.fmean(row["balanced_accuracy"] for row in side) for side in zip(*pairs, strict=True))
    return ours - theirs


def _where_there_is_room(pairs: Pairs) -> float | None:
    """Return the same, unless no method could be so far above the reference."""
    reference = statistics.fmean(row["balanced_accuracy"] for _, row in pairs)
    return _points_above(pairs) if reference <= 1 - ABOVE_HEAD else None


def _part_of_time(pairs: Pairs) -> float | None:
    times = [row["seconds_to_full_score"] for row, _ in pairs]
    if any(time is None for time in times):
        return math.inf
    return statistics.fmean(time / row["seconds"] for time, (_, row) in zip(times, pairs, strict=True))


def _ratio(figure: str, of: str) -> Callable[[Pairs], float | None]:
    def measure(pairs: Pairs) -> float | None:
        ours, theirs = [row[figure] for row, _ in pairs], [row[of] for _, row in pairs]
        return None if None in ours + theirs else statistics.fmean(ours) / statistics.fmean(theirs)

    return measure


def _points(value: float) -> str:
    return f"{100 * value:+.1f} points"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


BELOW_FULL, ABOVE_HEAD = 0.003, 0.03
CLAIMS = (
    Claim(
        "accuracy",
        "balanced accuracy at least full fine-tuning's minus 0.3 points",
        "full",
        _points_above,
        lambda value: value >= -BELOW_FULL - ROUNDING,
        _points,
    ),
    Claim(
        "above_head",
        "balanced accuracy at least 3 points above the head alone, where there is room",
        "head",
        _where_there_is_room,
        lambda value: value >= ABOVE_HEAD - ROUNDING,
        _points,
    ),
    Claim(
        "time",
        "full fine-tuning's validation score in at most half of its time",
        "full",
        _part_of_time,
        lambda value: value <= 0.5,
        lambda value: f"{value:.2f} of it",
    ),
    Claim(
        "memory",
        "peak memory at most 0.6 of full fine-tuning's",
        "full",
        _ratio("peak_mib", "peak_mib"),
        lambda value: value <= 0.6,
        lambda value: f"{value:.2f} of it",
    ),
    Claim(
        "adapter",
        "adapter at most 3 % of full fine-tuning's weights",
        "full",
        _ratio("adapter_bytes", "adapter_bytes"),
        lambda value: value <= 0.03,
        _percent,
    ),
    Claim(
        "checkpoint",
        "the adapter's checkpoint at most 3 % of full fine-tuning's",
        "full",
        _ratio("checkpoint_bytes", "checkpoint_bytes"),
        lambda value: value <= 0.03,
        _percent,
    ),
    Claim(
        "forgetting",
        "with the adapter removed the original logits are what they were, exactly (by construction)",
        CLAIMANT,
        lambda pairs: max(row["forgetting_max_abs"] for row, _ in pairs),
        lambda value: value == 0,
        lambda value: f"{value:.3g} off",
        max,
    ),
)


def _labels(model: str, dataset: str, method: str) -> Row:
    return {"model": model, "dataset": dataset, "method": method}


def _mean(trials: Sequence[Row]) -> Row:
    return {figure: _merged(figure, [trial.get(figure) for trial in trials]) for figure in FIGURES}


def _merged(figure: str, values: Sequence[Any]) -> float | None:
    if None in values:
        return None
    return float(max(values)) if figure in WORST else statistics.fmean(values)


def _of(rows: Iterable[Row], **labels: str) -> list[Row]:
    return [row for row in rows if all(row[key] == value for key, value in labels.items())]


def _distinct(rows: Iterable[Row], label: str) -> list[str]:
    return list(dict.fromkeys(row[label] for row in rows))
