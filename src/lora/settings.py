"""The settings of LoRA: which layers are adapted, and how."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from ..near import near_names
from .adapters import INITS, KINDS, Recipe

SCALINGS = ("lora", "rslora")
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class LoraSettings:
    """How the adapters of a model are made; in `ranks` and `alphas`, by layer name or glob, the first match counts.

    Attributes:
        rank: Rank of each low-rank pair.
        alpha: The update is scaled by alpha / rank, or alpha / sqrt(rank).
        targets: A word of `src.lora.targets.ROLES`, a module-name glob, or several; empty for the head alone. In a list
            the exact name of a layer takes precedence over a word; `role:conv` is always the word.
        fold_norms: Whether frozen batch norms are folded into their convolutions.
        kind: A key of `src.lora.adapters.KINDS`: `lora` or `dora`.
        init: A word of `src.lora.adapters.INITS`: `default`, `pissa`, or `eva`, which needs a call of `src.lora.eva`
            before training.
        scaling: `lora` for alpha / rank, `rslora` for alpha / sqrt(rank) (arXiv 2312.03732).
        dropout: Probability that a training step drops a whole rank of a layer; the others are scaled up.
        ranks: Other ranks for some layers, by glob.
        alphas: Other alphas for some layers, by glob.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: str | Sequence[str] = "all"
    fold_norms: bool = True
    kind: str = "lora"
    init: str = "default"
    scaling: str = "lora"
    dropout: float = 0.0
    ranks: Mapping[str, int] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Convert to plain containers, and refuse invalid values."""
        object.__setattr__(self, "targets", _targets(self.targets))
        for option in ("ranks", "alphas"):
            if not isinstance(getattr(self, option), Mapping):
                raise ValueError(
                    f"lora.{option} must map globs of layer names to numbers, not {getattr(self, option)!r}"
                )
        object.__setattr__(self, "alpha", _alpha("lora.alpha", self.alpha))
        object.__setattr__(self, "ranks", {g: _rank(f"lora.ranks[{g!r}]", rank) for g, rank in self.ranks.items()})
        object.__setattr__(self, "alphas", {g: _alpha(f"lora.alphas[{g!r}]", a) for g, a in self.alphas.items()})
        _rank("lora.rank", self.rank)
        _word("lora.kind", self.kind, tuple(KINDS))
        _word("lora.init", self.init, INITS)
        _word("lora.scaling", self.scaling, SCALINGS)
        if not isinstance(self.fold_norms, bool):
            raise ValueError(f"lora.fold_norms must be true or false, not {self.fold_norms!r}")
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise ValueError(f"lora.dropout must be at least 0 and below 1, not {self.dropout!r}")

    def recipe(self, name: str) -> Recipe:
        """Return the hyperparameters of the layer called `name`."""
        rank = _first(self.ranks, name, self.rank)
        divisor = rank if self.scaling == "lora" else math.sqrt(rank)
        return Recipe(rank, _first(self.alphas, name, self.alpha) / divisor, self.init, self.dropout)

    def check_patterns(self, names: Iterable[str]) -> None:
        """Refuse a glob of `ranks` or `alphas` that matches none of the adapted layers.

        Raises:
            ValueError: With near names.
        """
        layers = list(names)
        for option, patterns in (("ranks", self.ranks), ("alphas", self.alphas)):
            for glob in patterns:
                if not any(_fits(name, glob) for name in layers):
                    near = ", ".join(near_names(glob, layers, 5, 0.3)) or "none"
                    raise ValueError(
                        f"lora.{option}: {glob!r} matches no adapted layer; near names: {near}. "
                        "Mend the glob, or widen lora.targets"
                    )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        targets = self.targets if isinstance(self.targets, str) else list(self.targets)
        return {**asdict(self), "targets": targets}


def _targets(targets: Any) -> str | tuple[str, ...]:
    if isinstance(targets, str):
        return targets
    if not isinstance(targets, Sequence) or not all(isinstance(target, str) for target in targets):
        raise ValueError(f"lora.targets must be a word, a glob of module names, or a list of these, not {targets!r}")
    return tuple(targets)


def _first(patterns: Mapping[str, Number], name: str, default: Number) -> Number:
    return next((value for glob, value in patterns.items() if _fits(name, glob)), default)


def _fits(name: str, glob: str) -> bool:
    # The name itself first: a glob would read brackets in it as a set of characters.
    return name == glob or fnmatchcase(name, glob)


def _rank(option: str, rank: Any) -> int:
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise ValueError(f"{option} must be a whole number of at least 1, not {rank!r}")
    return rank


def _alpha(option: str, alpha: Any) -> float:
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < float("inf"):
        raise ValueError(f"{option} must be above 0 and finite, not {alpha!r}")
    return float(alpha)


def _word(option: str, word: str, words: Sequence[str]) -> None:
    if not isinstance(word, str) or word not in words:
        raise ValueError(f"{option}={word!r} is unknown: choose one of {', '.join(words)}")
