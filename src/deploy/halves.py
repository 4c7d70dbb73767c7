"""Two halves of the images that decide about a file: one chooses what is in it, the other accepts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..kinds import find_kind
from ..spec import TaskSpec

SEED, _QUANTILES = 0, 4


@dataclass(frozen=True)
class Halves:
    """Positions of the images of each half, in rising order.

    Attributes:
        choosing: By which is chosen.
        accepting: By which what was chosen is accepted; no fewer than the others where units are of one image.
    """

    choosing: tuple[int, ...]
    accepting: tuple[int, ...]


def halve(truths: Sequence[str], task: TaskSpec, units: Sequence[int] | None = None) -> Halves:
    """Return halves in which every truth has its share, and no unit is parted.

    Args:
        truths: What each image shows, as text.
        task: What the texts mean; values are taken by the quarter that they lie in.
        units: Number of each image's unit (a group, copies); None where every image is one by itself.

    Raises:
        ValueError: There is one unit only.
    """
    members: dict[int, list[int]] = {}
    for position, number in enumerate(range(len(truths)) if units is None else units):
        members.setdefault(number, []).append(position)
    if len(members) < 2:
        raise ValueError(
            "int8 is chosen on one half of the validation images and accepted on the other, and all of them are of one "
            "group: add images of another, or use precision=fp32"
        )
    halves: tuple[list[int], list[int]] = ([], [])
    for own in _by_stratum(_strata(truths, task), list(members.values())):
        taken = [0, 0]
        for unit in own:
            # The half that has fewer of the stratum so far; of equal ones that with fewer images, then the accepting.
            half = min((1, 0), key=lambda each: (taken[each], len(halves[each])))
            taken[half] += len(unit)
            halves[half].extend(unit)
    return Halves(*(tuple(sorted(half)) for half in halves))


def _by_stratum(strata: Sequence[str], units: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    """Yield the units of each stratum, the most common one of a unit's images, in drawn order."""
    random = np.random.default_rng(SEED)
    found = [Counter(strata[position] for position in unit).most_common(1)[0][0] for unit in units]
    for stratum in sorted(set(found)):
        own = [unit for unit, name in zip(units, found, strict=True) if name == stratum]
        yield [own[index] for index in random.permutation(len(own))]


def _strata(truths: Sequence[str], task: TaskSpec) -> Sequence[str]:
    kind = find_kind(task.kind)
    if kind.has_classes:
        return truths
    values = kind.encode(truths, task.classes)
    ends = np.quantile(values, np.linspace(0, 1, _QUANTILES + 1)[1:-1])
    return [str(quarter) for quarter in np.searchsorted(ends, values)]
