"""The end of the graph that makes a verdict of the file's own outputs, by the arithmetic of `src.decision.apply`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ..decision.apply import PASS, REJECT, REVIEW
from ..decision.margin import cuts
from ..edge.session import VERDICT
from ..spec import DecisionSpec, TaskSpec

_PREFIX = f"{VERDICT}."  # of the names of all that is added


def add_verdict(proto: onnx.ModelProto, task: TaskSpec, decision: DecisionSpec) -> None:
    """Give a model the output `verdict` (N, int64; see `src.decision.VERDICTS`), in place of an earlier one.

    Its thresholds are float32 initializers: `verdict.pass_below` and `verdict.reject_from` (with labels one each, such
    as `verdict.pass_below.scratch`), `verdict.decide_from`, or `verdict.reject_below`, `verdict.pass_from`,
    `verdict.pass_to` and `verdict.reject_above`. The decision lies in the metadata.

    Args:
        proto: A finished model of Graft, in any precision; it is changed.
        task: What its outputs mean.
        decision: What the verdicts are made by; it must be for this task.
    """
    remove_verdict(proto)
    end = _End()
    if decision.margin is not None:
        passes, rejects = _by_margin(end, decision)
    elif decision.decide_from is not None:
        passes, rejects = _by_certainty(end, task, decision.decide_from), None
    else:
        passes, rejects = _by_scores(end, task, decision)
    words = [end.constant(word, np.int64(value)) for word, value in zip(_WORDS, (PASS, REJECT, REVIEW), strict=True)]
    rest = words[2] if rejects is None else end.add("Where", rejects, words[1], words[2])
    end.nodes.append(helper.make_node("Where", [passes, words[0], rest], [VERDICT], name=VERDICT))
    graph = proto.graph
    graph.node.extend(end.nodes)
    graph.initializer.extend(end.constants)
    batch = graph.output[0].type.tensor_type.shape.dim[:1]
    axis = [batch[0].dim_param] if batch and batch[0].dim_param else [None]
    graph.output.append(helper.make_tensor_value_info(VERDICT, TensorProto.INT64, axis))
    _hold(proto, {"decision": json.dumps(decision.to_dict(), sort_keys=True)})


def remove_verdict(proto: onnx.ModelProto) -> None:
    """Take from a model what `add_verdict` gave it; a model without a verdict is left as it is."""
    graph = proto.graph
    for items in (graph.node, graph.initializer, graph.output, graph.value_info):
        kept = [item for item in items if item.name != VERDICT and not item.name.startswith(_PREFIX)]
        del items[:]
        items.extend(kept)
    _hold(proto, {})


_WORDS = ("pass", "reject", "review")


class _End:
    """Nodes and constants that are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Add a named constant."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), f"{_PREFIX}{name}"))
        return f"{_PREFIX}{name}"

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        name = f"{_PREFIX}{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def column(self, number: int) -> str:
        """Take a column of the probabilities, N."""
        return self.add("Gather", "probabilities", self.constant(f"column_{len(self.nodes)}", np.int64(number)), axis=1)

    def chain(self, operator: str, names: list[str]) -> str:
        """Join values by an operator of two, the first two first."""
        joined, *rest = names
        for name in rest:
            joined = self.add(operator, joined, name)
        return joined


def _by_scores(end: _End, task: TaskSpec, decision: DecisionSpec) -> tuple[str, str]:
    if decision.labels:
        scores = [end.column(task.classes.index(label)) for label in decision.labels]
        suffixes = [f".{label}" for label in decision.labels]
    else:
        defects = [number for number, name in enumerate(task.classes) if name not in decision.pass_classes]
        scores, suffixes = [end.chain("Add", [end.column(number) for number in defects])], [""]
    passes, rejects = [], []
    for score, suffix, low, high in zip(scores, suffixes, decision.pass_below, decision.reject_from, strict=True):
        passes.append(end.add("Less", score, end.constant(f"pass_below{suffix}", np.float32(low))))
        rejects.append(end.add("GreaterOrEqual", score, end.constant(f"reject_from{suffix}", np.float32(high))))
    return end.chain("And", passes), end.chain("Or", rejects)


def _by_certainty(end: _End, task: TaskSpec, least: float) -> str:
    most = end.chain("Max", [end.column(number) for number in range(len(task.classes))])
    return end.add("GreaterOrEqual", most, end.constant("decide_from", np.float32(least)))


def _by_margin(end: _End, decision: DecisionSpec) -> tuple[str, str]:
    assert decision.margin is not None
    names = ("reject_below", "pass_from", "pass_to", "reject_above")
    values = cuts((decision.limits[0], decision.limits[1]), decision.margin)
    below, inside, within, above = (
        end.constant(name, np.float32(value)) for name, value in zip(names, values, strict=True)
    )
    passes = end.add("And", end.add("GreaterOrEqual", "decision", inside), end.add("LessOrEqual", "decision", within))
    return passes, end.add("Or", end.add("Less", "decision", below), end.add("Greater", "decision", above))


def _hold(proto: onnx.ModelProto, more: dict[str, str]) -> None:
    kept = {item.key: item.value for item in proto.metadata_props if item.key != "decision"}
    helper.set_model_props(proto, kept | more)
