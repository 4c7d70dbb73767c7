"""What logits mean, by the kind of task: the same in training, in the report and in the shipped graph."""

from __future__ import annotations

from torch import Tensor

from ..spec import TaskSpec


def interpret(logits: Tensor, task: TaskSpec) -> tuple[Tensor, Tensor]:
    """Return probabilities and decisions.

    The decision of `ordinal` is the median grade, which makes the expected distance to the true grade smallest.

    Args:
        logits: N x outputs, as the network gives them.
        task: What they mean.

    Returns:
        Probabilities (N x classes; N x 0 with regression), and the decision: the class index (N, int64), which labels
        are present (N x classes, 0 or 1, int64), or the value (N, float) with regression.
    """
    if task.kind == "regression":
        return logits[:, :0], logits[:, 0] * task.scale + task.center
    if task.kind == "multilabel":
        probabilities = logits.sigmoid()
        return probabilities, (probabilities >= 0.5).long()
    probabilities = logits.softmax(dim=1)
    if task.kind == "ordinal":
        return probabilities, (probabilities[:, :-1].cumsum(dim=1) < 0.5).sum(dim=1)
    return probabilities, logits.argmax(dim=1)
