"""The kind of a task: everything that differs between classes, grades, labels and values, and needs no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..spec import Decision, Measurement, TaskSpec
from .rows import Array, Rows

Truth = Literal["label", "labels", "value"]

# A tensor of torch. Only its methods are used, so that the camera needs no torch to know a kind.
Tensor = Any


class Kind(ABC):
    """One kind of task. A new one is a file in this folder that names its object `KIND`.

    Attributes:
        name: The name of the kind, in configs and in every file; the files of the kind are named by it.
        learns: What the data must say of each image: one `label`, several `labels` or a `value`.
        ordered: Whether the order of the classes means something, so that somebody has to state it.
        has_classes: Whether the decision names classes, each with a probability; else it is a number.
        is_exclusive: Whether an image has exactly one class, so that its probabilities add up to 1.
        metrics: Names of the figures in `metrics.json`, in the order of the file; see `src.metrics`.
        headline: The two of them that say most; higher is better for the first, which steers the training.
        gate_score: The figure that a shipped file must keep.
        gate_rounding: What that figure may lose in any file, because it moves with the rounding of the outputs.
        figures: Drawings of the decisions on the report's page.
        averages: How the report explains its figures where no class is the positive one.
        remark: What the report adds to that.
        mistakes_title: How the report calls the worst mistakes.
    """

    name: ClassVar[str]
    learns: ClassVar[Truth]
    ordered: ClassVar[bool] = False
    has_classes: ClassVar[bool] = True
    is_exclusive: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]]
    headline: ClassVar[tuple[str, str]]
    gate_score: ClassVar[str] = "accuracy"
    gate_rounding: ClassVar[float] = 0.0
    figures: ClassVar[tuple[str, ...]] = ()
    averages: ClassVar[str]
    remark: ClassVar[str] = ""
    mistakes_title: ClassVar[str] = "Most confident mistakes"

    @property
    def score(self) -> str:
        """Name of the figure that steers the training, higher is better."""
        return self.headline[0]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs of an ONNX file, in their order."""
        return ("logits", "probabilities", "decision") if self.has_classes else ("logits", "decision")

    def fields(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of a CSV of decisions, see `Decision` and `Measurement`."""
        return ("label", "score", *(f"p_{name}" for name in classes)) if self.has_classes else ("value",)

    def probability_names(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Return the class of each column of probabilities."""
        return tuple(classes) if self.has_classes else ()

    def require(self, task: TaskSpec) -> None:
        """Refuse a task that could not be trained or decided.

        Raises:
            ValueError: Its classes, or what its logits stand for, cannot be used.
        """
        self.require_classes(task.classes)

    def require_classes(self, classes: Sequence[str]) -> None:
        """Refuse names of classes that cannot be told apart, or too few of them.

        Raises:
            ValueError: They are so.
        """
        if len(classes) < 2 or len(set(classes)) != len(classes):
            raise ValueError(f"a task needs at least two classes with different names, not {list(classes)}")

    def standardise(self, values: Sequence[float]) -> tuple[float, float]:
        """Return `TaskSpec.center` and `TaskSpec.scale` for the values of the training images.

        Raises:
            ValueError: Nothing can be learnt from these values.
        """
        return 0.0, 1.0

    def why_no_score(self, truths: Sequence[str]) -> str | None:
        """Return why the score that steers a training does not exist on some validation images, whatever is decided.

        Args:
            truths: What is to be learnt of each image, as text.

        Returns:
            The reason and a way out; None where the score exists.
        """
        return None

    @abstractmethod
    def encode(self, texts: Sequence[str], classes: Sequence[str]) -> NDArray[Any]:
        """Return truths or decisions, given as text, in the form of the graph's decisions.

        Returns:
            Class indices (N), which labels are there (N x classes) or values (N).

        Raises:
            ValueError: A text is none; the message begins with it, so that the caller can say where it stands.
        """

    @abstractmethod
    def decode(self, decision: Any, classes: Sequence[str]) -> str | float:
        """Return one decision of the graph as people read it: names of classes, or a number."""

    @abstractmethod
    def interpret(self, logits: Tensor, task: TaskSpec) -> tuple[Tensor, Tensor]:
        """Return probabilities and decisions; this becomes the end of the shipped graph.

        Args:
            logits: N x outputs, as the network gives them.
            task: What they mean.

        Returns:
            Probabilities (N x classes, or N x 0), and the decisions: class indices (N, int64), which labels are there
            (N x classes, 0 or 1, int64), or values (N, float).
        """

    @abstractmethod
    def answer(self, probabilities: NDArray[np.float32], decision: Any, task: TaskSpec) -> Decision | Measurement:
        """Return what the camera is told about one picture, from the outputs of the graph for it."""

    def column(self, targets: Tensor) -> Tensor:
        """Return a batch of targets in the form of the decisions; the data give values as N x 1."""
        return targets

    @abstractmethod
    def certainty(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how far each picture is from another decision, in probability (N)."""

    @abstractmethod
    def changed(self, before: NDArray[Any], after: NDArray[Any], task: TaskSpec, most: float) -> NDArray[np.bool_]:
        """Return which pictures have another decision than before (N); values may move as far as a logit by `most`."""

    @abstractmethod
    def wrongness(self, rows: Rows) -> Array:
        """Return how wrong each decision is, 0 where it is right (N)."""

    def distance(self, rows: Rows) -> Array:
        """Return how far each decision is from the truth (N), by which the report orders mistakes before all else."""
        return np.zeros(len(rows))

    @abstractmethod
    def why_undefined(self, rows: Rows, positive: str | None) -> dict[str, str]:
        """Return by the name of the figure why one of these rows would be undefined."""

    @abstractmethod
    def describe(self, classes: Sequence[str]) -> str:
        """Return in a few words what is learnt."""


def sure_of_mistake(rows: Rows, exclusive: bool) -> Array:
    """Return the probability of the surest wrong decision of each image, 0 where all are right (N).

    Args:
        rows: Decisions among classes.
        exclusive: Whether only what was decided to be there can be wrong; else also what was decided to be absent.
    """
    is_target, is_decided = rows.target_matrix, rows.predicted_matrix
    sure = np.where(is_decided, rows.probabilities, 0.0 if exclusive else 1 - rows.probabilities)
    tiny = np.finfo(np.float64).tiny  # a mistake stays one where the probability has underflowed
    return np.asarray(np.where(is_target != is_decided, np.maximum(sure, tiny), 0.0).max(axis=1))
