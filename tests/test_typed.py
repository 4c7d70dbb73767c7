from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import pytest
from omegaconf import OmegaConf

from src.typed import require_types


class Shared(TypedDict, total=False):
    batch_size: int
    folder: str | Path | None


class Base:
    def __init__(self, rate: float = 1.0, on: bool = True):
        pass


class Kind(Base):
    def __init__(self, count: int, mode: Literal["a", "b"] = "a", names: Sequence[str] = (), **options: Any):
        pass


def loads(place: Path, root: str | None = None, **loading: Unpack[Shared]) -> None:
    pass


def config(target, **values):
    return OmegaConf.create(
        {"seed": 3, "name": "x", "node": {"_target_": f"{__name__}.{target}", "_partial_": True, **values}}
    )


@pytest.mark.parametrize(
    ("target", "values"),
    [
        ("Kind", {"count": 3, "rate": 1, "on": False, "mode": "b", "names": ["x"]}),
        ("Kind", {"count": "${seed}", "unknown": "x", "names": None}),
        ("Kind", {"count": "???"}),
        ("loads", {"place": "x", "root": 3, "batch_size": 4, "folder": "x"}),
        ("loads", {"place": "x", "root": True, "folder": None}),
    ],
)
def test_what_the_annotations_allow_is_taken(target, values):
    require_types(config(target, **values))


@pytest.mark.parametrize(
    ("target", "values", "message"),
    [
        ("Kind", {"count": "x"}, "node.count=x is not a whole number"),
        ("Kind", {"count": 1.5}, "node.count=1.5 is not a whole number"),
        ("Kind", {"count": True}, "node.count=True is not a whole number"),
        ("Kind", {"count": 1, "rate": "x"}, "node.rate=x is not a number"),
        ("Kind", {"count": 1, "on": 1}, "node.on=1 is not true or false"),
        ("Kind", {"count": 1, "mode": "c"}, "node.mode=c is not a or b: correct"),
        ("loads", {"batch_size": "x"}, "node.batch_size=x is not a whole number"),
        ("loads", {"batch_size": None}, "node.batch_size=null is not a whole number"),
        ("Kind", {"count": "${name}"}, "^name=x is not a whole number"),
    ],
)
def test_another_type_is_refused_by_its_key(target, values, message):
    with pytest.raises(ValueError, match=message):
        require_types(config(target, **values))


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        ("src.data.FolderData", "rot", r"there is no node\.rot \(did you mean root\?\)"),
        ("src.data.FolderData", "image_sizes", r"did you mean image_size\?"),
        ("src.tasks.OrdinalTask", "spreads", r"did you mean spread\?"),
        ("src.tasks.OrdinalTask", "warm_stat", r"did you mean warm_start\?"),
        ("src.tasks.warmup_cosine", "x", r"node takes floor, optimizer, total_steps, warmup\)"),
        ("torch.optim.AdamW", "momentum", r"there is no node\.momentum \(node takes amsgrad, betas,"),
        ("src.tasks.Lora", "rnk", r"did you mean rank\?"),
    ],
)
def test_a_key_that_the_target_does_not_take_is_refused(target, name, message):
    with pytest.raises(ValueError, match=message):
        require_types(OmegaConf.create({"node": {"_target_": target, name: 1}}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e39, 10**39, -(2**63)])
def test_a_number_that_torch_cannot_hold_is_refused(value):
    name = "count" if isinstance(value, int) else "rate"
    with pytest.raises(ValueError, match=rf"node\.{name}=.* is out of range"):
        require_types(config("Kind", **{"count": 1, name: value}))


def test_nodes_inside_nodes_are_looked_at():
    inner = {"_target_": f"{__name__}.Base", "rate": "x"}
    with pytest.raises(ValueError, match=r"node\.inner\.rate=x is not a number"):
        require_types(config("Kind", count=1, inner=inner))
