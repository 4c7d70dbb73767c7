"""The checks of the data gate; each one yields what it found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...edge.unread import describe
from ..naming import listed
from .collection import OPEN, Collection

FEW = 5  # images of a class in a split, below which its figures say nothing
RARE = 0.1  # the smallest class as part of the largest
FAR = 5.0  # robust standard deviations from the median
LARGER = 4.0  # the largest picture's area over the smallest one's
DARK = 1 / 16  # median brightness of deep pictures: four unused bits

Images = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a set of images, or may be.

    Attributes:
        kind: Its name, by which it can be allowed.
        text: What was found, and what to do about it.
        images: Positions of the images to show, those that belong together in one tuple, the worst first.
        stops: Whether a training must not begin with it.
    """

    kind: str
    text: str
    images: Images = ()
    stops: bool = False


def unreadable(data: Collection) -> Iterator[Finding]:
    """Find files that cannot be decoded; they are left out of training, and stop it where figures come from them."""
    if not data.errors:
        return
    them = "it" if len(data.errors) == 1 else "them"
    text = f"{_files(len(data.errors))} cannot be read: repair or remove {them}"
    found = {data.samples[position].split for position in data.errors}
    stopping = [split for split in data.needed if split in found]
    if stopping:
        text += f", or set data.on_error=skip, as {' and '.join(stopping)} must be whole"
    yield Finding("unreadable", text, tuple((position,) for position in sorted(data.errors)), bool(stopping))


def not_used(data: Collection) -> Iterator[Finding]:
    """Report files and folders of the source that are not used."""
    if data.skipped:
        count = "1 file or folder is" if len(data.skipped) == 1 else f"{len(data.skipped):,} files or folders are"
        yield Finding("not_used", f"{count} not used: {describe(data.skipped)}")


def further_pages(data: Collection) -> Iterator[Finding]:
    """Find files of several pages or frames, of which the first is used."""
    several = [position for position in data.readable if data.image_stats["frames"][position] > 1]
    if several:
        more = int(data.image_stats["frames"][several].astype(np.int64).sum()) - len(several)
        text = f"{_files(len(several))} with {more:,} further pages or frames, which are not used: save each as a file"
        yield Finding("further_pages", text, tuple((position,) for position in several))


def splits(data: Collection) -> Iterator[Finding]:
    """Find classes of which some split has no image, or none that can be read: no training can begin."""
    if data.uncut:
        yield Finding("too_few_for_splits", data.uncut, stops=True)
    whole = {(data.samples[position].label, data.samples[position].split) for position in data.readable}
    lost: dict[tuple[str, str | None], list[int]] = {}
    for position in sorted(data.errors):
        cell = data.samples[position].label, data.samples[position].split
        if cell not in whole:
            lost.setdefault(cell, []).append(position)
    if lost:
        told = listed([f"class {label!r} in {split or OPEN}" for label, split in lost])
        shown = tuple((position,) for positions in lost.values() for position in positions)
        yield Finding("none_readable", f"no image of {told} can be read: repair the files", shown, stops=True)


def duplicates(data: Collection) -> Iterator[Finding]:
    """Find equal files and equal pictures, inside one split and across splits."""
    kinds = (
        ("exact", "equal files", data.duplicates.exact),
        ("near", "equal pictures in unlike files", data.duplicates.near),
    )
    for kind, name, pairs in kinds:
        across = data.across(pairs)
        torn = set(across)
        within = [pair for pair in pairs if pair not in torn]
        if across:
            text = (
                f"{_pairs(len(across))} of {name} in unlike splits: the test would count what was trained on; "
                "remove one of each pair"
            )
            yield Finding(f"{kind}_duplicates_across_splits", text, tuple(across), stops=True)
        if within:
            text = f"{_pairs(len(within))} of {name}{'' if data.uncut else ' in one split'}: they count twice"
            if kind == "near" and data.parted:
                text += f"; cut without knowing, the splits would have parted {data.parted:,}"
            yield Finding(f"{kind}_duplicates", text, tuple(within))
    if data.duplicates.compared < data.duplicates.hits:
        text = (
            f"{data.duplicates.hits:,} pairs look alike to the hash, and only the nearest {data.duplicates.compared:,} "
            "were compared: give near-identical pictures a group"
        )
        yield Finding("not_all_compared", text)


def two_labels(data: Collection) -> Iterator[Finding]:
    """Find pictures that are there under two labels."""
    pairs = (*data.duplicates.exact, *data.duplicates.near)
    found = [pair for pair in pairs if data.samples[pair[0]].truth != data.samples[pair[1]].truth]
    if found:
        text = f"{_pairs(len(found))} of one picture under two labels: decide which one is right"
        yield Finding("two_labels", text, tuple(found))


def groups(data: Collection) -> Iterator[Finding]:
    """Find groups whose images are in more than one split."""
    members: dict[str, dict[str, int]] = {}
    for position, sample in enumerate(data.samples):
        if sample.group is not None:
            members.setdefault(sample.group, {}).setdefault(str(sample.split), position)
    torn = {group: firsts for group, firsts in members.items() if len(firsts) > 1}
    if torn:
        names = ", ".join(sorted(torn)[:3]) + (", ..." if len(torn) > 3 else "")
        text = f"{len(torn):,} of {len(members):,} groups are in more than one split ({names}): put each into one"
        shown = tuple(tuple(firsts.values()) for _, firsts in sorted(torn.items()))
        yield Finding("groups_across_splits", text, shown, stops=True)


def few_images(data: Collection) -> Iterator[Finding]:
    """Find classes with too few images in a split for a reliable metric."""
    few = [
        f"{label} has {count} in {split}"
        for label, counts in data.counts.items()
        for split, count in counts.items()
        if count < FEW and split != OPEN
    ]
    if few:
        yield Finding("few_images", f"fewer than {FEW} images: {listed(few, '; ')}; figures of these say nothing")


def balance(data: Collection) -> Iterator[Finding]:
    """Find classes that are rare beside the largest one."""
    totals = {label: sum(counts.values()) for label, counts in data.counts.items()}
    most = max(totals, key=lambda label: totals[label])
    rare = [label for label, count in totals.items() if count < RARE * totals[most]]
    if rare:
        told = listed([f"{label} ({totals[label]:,})" for label in rare])
        text = f"rare beside {most} ({totals[most]:,} images): {told}; read balanced accuracy, not accuracy"
        yield Finding("class_balance", text)


def sizes(data: Collection) -> Iterator[Finding]:
    """Find pictures that are small for the network, and sizes that are far apart."""
    shorter = np.minimum(data.image_stats["width"], data.image_stats["height"])
    small = [position for position in data.readable if 2 * shorter[position] < data.side]
    if small:
        text = f"{_files(len(small))} below half the network's {data.side} pixels: there is little to see"
        yield Finding("small_images", text, tuple((position,) for position in small))
    areas = (data.image_stats["width"].astype(np.int64) * data.image_stats["height"])[data.readable]
    if len(areas) and areas.max() > LARGER * areas.min():
        ends = [data.readable[int(place)] for place in (areas.argmin(), areas.argmax())]
        told = " and ".join(f"{data.image_stats['width'][end]} x {data.image_stats['height'][end]}" for end in ends)
        yield Finding("unlike_sizes", f"pictures between {told} pixels: do they come from one camera?", (tuple(ends),))


def modes(data: Collection) -> Iterator[Finding]:
    """Find pictures whose kind of pixels is not that of most, and deep ones that use few of their bits."""
    of = {position: data.image_stats["mode"][position].decode() for position in data.readable}
    counts = Counter(of.values()).most_common()
    if len(counts) > 1:
        told = ", ".join(f"{count:,} {mode}" for mode, count in counts)
        odd = tuple((position,) for position, mode in of.items() if mode != counts[0][0])
        yield Finding("unlike_modes", f"unlike kinds of pixels ({told}): do they tell the classes apart?", odd)
    deep = [position for position, mode in of.items() if mode.startswith("I")]
    if deep and float(np.median(data.image_stats["brightness"][deep])) < DARK:
        depth = max(8, int(data.image_stats["brightest"][deep].max()).bit_length())
        use = f"their levels fit data.bit_depth={depth}" if depth < data.bit_depth else "lamp, lens cap, exposure?"
        text = f"{_files(len(deep))} with more than 8 bits are nearly black: {use}"
        yield Finding("dark_deep_images", text, tuple((position,) for position in deep))


def brightness(data: Collection) -> Iterator[Finding]:
    """Find pictures far darker or brighter than most."""
    found = _far(data.image_stats["brightness"].astype(np.float64), data.readable, least=0.02)
    if found:
        text = f"{_files(len(found))} far darker or brighter than most: lamp, lens cap, exposure?"
        yield Finding("brightness_outliers", text, tuple((position,) for position in found))


def sharpness(data: Collection) -> Iterator[Finding]:
    """Find pictures far less sharp than most."""
    values = np.log10(data.image_stats["sharpness"].astype(np.float64) + 1e-3)
    found = _far(values, data.readable, least=0.1, low_only=True)
    if found:
        text = f"{_files(len(found))} far less sharp than most: focus, motion, dirt on the lens?"
        yield Finding("sharpness_outliers", text, tuple((position,) for position in found))


def label_errors(data: Collection) -> Iterator[Finding]:
    """Report labels that out-of-fold predictions contradict."""
    suspects = data.labels.suspects
    if suspects:
        text = f"{_files(len(suspects))} whose label out-of-fold predictions contradict: look at them"
        yield Finding("label_errors", text, tuple((suspect.position,) for suspect in suspects))


CHECKS: tuple[Callable[[Collection], Iterator[Finding]], ...] = (
    splits,
    unreadable,
    not_used,
    further_pages,
    duplicates,
    groups,
    two_labels,
    label_errors,
    few_images,
    balance,
    sizes,
    modes,
    brightness,
    sharpness,
)


def _far(values: NDArray[np.float64], readable: list[int], least: float, low_only: bool = False) -> list[int]:
    """Return the positions far from the median, in units of the median deviation; the farthest first."""
    if not readable:
        return []
    seen = values[readable]
    deviation = max(1.4826 * float(np.median(np.abs(seen - np.median(seen)))), least)
    far = (seen - np.median(seen)) / deviation
    far = -far if low_only else np.abs(far)
    return [readable[place] for place in np.argsort(-far, kind="stable") if far[place] > FAR]


def _files(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count:,} pairs"
