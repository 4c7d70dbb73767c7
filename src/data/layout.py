"""The meaning of nested folders: given by the user, or inferred where only one meaning fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..near import near
from .naming import DEFECT_NAMES, split_of

Layout = tuple[str, ...]
LEVELS = ("split", "group", "folder", "class")
CHOICES = "class, split/class, class/split, folder/class, group/class, split/folder/class and so on"


@dataclass
class Content:
    """What a folder holds.

    Attributes:
        own: Pictures in the folder itself.
        deeper: Pictures in the folders inside.
        folders: These folders, without those that hold no picture.
    """

    own: int = 0
    deeper: int = 0
    folders: dict[str, Content] = field(default_factory=dict)

    def add(self, place: Sequence[str]) -> None:
        """Count a picture that lies in the folders `place`, the outermost first."""
        here = self
        for name in place:
            here.deeper += 1
            here = here.folders.setdefault(name, Content())
        here.own += 1

    def holds(self, place: Sequence[str]) -> bool:
        """Return whether there are pictures in a folder or below it."""
        here: Content | None = self
        for name in place:
            here = here and here.folders.get(name)
        return here is not None


def parse_layout(text: str) -> Layout:
    """Return what each level of folders means, the outermost first; below the last, pictures lie at any depth.

    Raises:
        ValueError: A word is none of `LEVELS`, there is not one class, or there are several splits or groups.
    """
    layout = tuple(text.split("/"))
    for word in layout:
        if word not in LEVELS:
            raise ValueError(f"data.layout={text} has {word!r}{near(word, LEVELS)}: choose from {CHOICES}")
    if layout.count("class") != 1 or max(layout.count("split"), layout.count("group")) > 1:
        raise ValueError(f"data.layout={text} must have class once, split and group at most once: {CHOICES}")
    return layout


def guess_layout(root: Path, content: Content) -> Layout:
    """Return `class` or `split/class`, whichever the names and the pictures of the folders leave.

    Raises:
        ValueError: The folders can be read in two ways, or in none; the message has the override of each.
    """
    tops = content.folders
    splits = {name: split for name in tops if (split := split_of(name)) is not None}
    deep, flat = ([name for name in splits if bool(tops[name].folders) is nested] for nested in (True, False))
    beside = [name for name in tops if name not in splits]
    if not splits or (beside and not deep):  # a class called train holds images itself
        return _require_one_reading(root, tops, ("class",))
    trained = "train" in {splits[name] for name in deep}
    as_classes = f"{_join(tops)} are the classes (data.layout=class)"
    if flat:
        place = root / flat[0]
        out = ", leave them out by data.layout=split/class" if trained else ""
        raise ValueError(
            f"{place} has images but no class folders: put the images of each class into {place}/<class>/{out}, or "
            f"say that {as_classes}"
        )
    if beside and not trained:
        held = set[str]().union(*(tops[name].folders for name in deep))
        if len(beside) == 1 and held & set(tops[beside[0]].folders):
            raise ValueError(
                f"{root} can be read in two ways: {as_classes}, or {_join(deep)} is a split and {beside[0]} another: "
                f"then rename {beside[0]} to train"
            )
        raise ValueError(
            f"{root} can be read in two ways: {as_classes}, or {_join(deep)} is a split: then move {_join(beside)} "
            f"into {root / 'train'}"
        )
    inner = tops[deep[0]].folders
    alike = [name for name in beside if not tops[name].folders or tops[name].folders.keys() & inner.keys()]
    if alike and len(deep) == 1:
        raise ValueError(
            f"{root} can be read in two ways: {as_classes}, or {deep[0]} is a split with the classes "
            f"{_join(inner)}, and {_join(beside)} is left out (data.layout=split/class)"
        )
    classes: dict[str, Content] = {}
    for name in deep:
        for label, own in tops[name].folders.items():
            _merge(classes.setdefault(label, Content()), own)
    return _require_one_reading(root, classes, ("split", "class"))


def _require_one_reading(root: Path, classes: Mapping[str, Content], layout: Layout) -> Layout:
    """Return the layout, unless the folders inside the class folders may be what counts.

    Raises:
        ValueError: They may; the message has every reading.
    """
    outer = layout[:-1]
    told = [f"{_join(classes)} are the classes (data.layout={'/'.join(layout)})"]
    while True:
        between, classes = _unwrap(classes)
        if not (names := _doubtful(classes)):
            break
        inside: dict[str, Content] = {}
        for each in classes.values():
            for name, own in each.folders.items():
                _merge(inside.setdefault(name, Content()), own)
        if splits := [name for name in names if split_of(name)]:
            deeper = any(inside[name].folders for name in splits)
            meant = ("folder", *between, "split", "class") if deeper else ("class", *between, "split")
            told.append(f"{_join(splits)} in them are splits (data.layout={'/'.join((*outer, *meant))})")
            break
        outer, classes = (*outer, "folder", *between), inside
        told.append(f"{_join(names)} in them are the classes (data.layout={'/'.join((*outer, 'class'))})")
    if len(told) == 1:
        return layout
    raise ValueError(f"{root} can be read in {len(told)} ways: {', or '.join(told)}")


def _unwrap(classes: Mapping[str, Content]) -> tuple[Layout, Mapping[str, Content]]:
    """Return what lies in the one folder that each of several folders holds alone, and the levels of such folders."""
    between: Layout = ()
    while len(classes) > 1 and not any(each.own for each in classes.values()):
        inside = {tuple(each.folders) for each in classes.values()}
        if len(inside) > 1 or len(names := inside.pop()) != 1:
            break
        between, classes = (*between, "folder"), {name: each.folders[names[0]] for name, each in classes.items()}
    return between, classes


def _doubtful(classes: Mapping[str, Content]) -> set[str]:
    """Return the names of the folders in class folders where these may be the classes, or the splits, instead.

    They may where each class folder holds the same ones, where they have the names of defects, or of splits.
    """
    inside = [set(each.folders) for each in classes.values()]
    names = set[str]().union(*inside)
    own, deeper = (sum(getattr(each, which) for each in classes.values()) for which in ("own", "deeper"))
    if len(names) < 2 or len(classes) < 2 or not all(inside) or own >= deeper:
        return set()
    same = all(each == names for each in inside)
    known = any(map(split_of, names)) or (_has_defect(names) and not _has_defect(classes))
    return names if same or known else set()


def _has_defect(names: Iterable[str]) -> bool:
    return any(name.lower() in DEFECT_NAMES for name in names)


def _merge(into: Content, other: Content) -> None:
    into.own, into.deeper = into.own + other.own, into.deeper + other.deeper
    for name, own in other.folders.items():
        _merge(into.folders.setdefault(name, Content()), own)


def _join(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:4]) + (f" and {len(ordered) - 4} more" if len(ordered) > 4 else "")
