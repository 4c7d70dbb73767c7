"""The network between the camera's picture and a decision, in each profile."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..backbones.pixels import average_views, normalise
from ..edge.preprocess import resized
from ..kinds import find_kind
from ..spec import ImageSpec, TaskSpec

# What onnx and torch have beside Pillow, with its coefficients.
GRAPH_FILTERS = ("bilinear", "bicubic")

# Names of the graph's own constants that are matrices, but no layer of the model.
GRAPH_CONSTANTS = frozenset({"rows", "columns"})


class DeployModel(nn.Module):
    """The backbone between pixels and a decision; profile `u8`."""

    def __init__(self, model: nn.Module, image: ImageSpec, task: TaskSpec) -> None:
        super().__init__()
        self.model, self.image, self.task, self.kind = model, image, task, find_kind(task.kind)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the graph; see `Kind.outputs`."""
        logits = average_views(self.model, self.enter(pixels), self.task.views)
        probabilities, decision = self.kind.interpret(logits, self.task)
        outputs = {"logits": logits, "probabilities": probabilities, "decision": decision}
        return tuple(outputs[name] for name in self.kind.outputs)

    def enter(self, pixels: Tensor) -> Tensor:
        """Return the network's input: N x channels x H x W, on the scale of its weights."""
        return normalise(pixels, self.image)

    def example(self) -> Tensor:
        """Return two blank pictures, because torch.export takes sizes 0 and 1 for constants."""
        return torch.zeros(2, *self.image.size, 3, dtype=torch.uint8)


class FloatDeployModel(DeployModel):
    """Profile `float`, for accelerators that scale pixels themselves: N x channels x H x W, already normalised."""

    def enter(self, pixels: Tensor) -> Tensor:
        """Return the pixels as they are."""
        return pixels

    def example(self) -> Tensor:
        """Return two grey pictures."""
        return torch.zeros(2, len(self.image.mean), *self.image.size)


class ResizedDeployModel(DeployModel):
    """Profile `u8-resize`, behind the nodes that resize: pixels of the network's size, as float32."""

    def example(self) -> Tensor:
        """Return two blank pictures."""
        return super().example().float()


class MatMulDeployModel(DeployModel):
    """Profile `u8-matmul`: pictures of one size, resized and cropped by a matrix on each side.

    It needs no operator that runtimes disagree on; `Resize` with antialiasing is ignored by some.
    """

    def __init__(self, model: nn.Module, image: ImageSpec, task: TaskSpec, taken: tuple[int, int]) -> None:
        super().__init__(model, image, task)
        self.taken = taken
        lengths = resized(*taken, image)
        rows, columns = (_matrix(taken[axis], lengths[axis], image.size[axis], image) for axis in (0, 1))
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns.T.contiguous())

    def enter(self, pixels: Tensor) -> Tensor:
        """Resize and crop by two products, then bring the pixels to the network's scale."""
        x = pixels.permute(0, 3, 1, 2).float()
        # Across, then down, each to whole grey levels: what Pillow does, and the network was trained on.
        x = torch.matmul(x, self.columns).round().clamp(0, 255)  # type: ignore[arg-type]
        x = torch.matmul(self.rows, x).round().clamp(0, 255)  # type: ignore[arg-type]
        return normalise(x.permute(0, 2, 3, 1), self.image)

    def example(self) -> Tensor:
        """Return two blank pictures of the camera's size."""
        return torch.zeros(2, *self.taken, 3, dtype=torch.uint8)


def _matrix(taken: int, length: int, kept: int, image: ImageSpec) -> Tensor:
    """Return kept x taken: the resize of one side to `length`, and the middle of it."""
    if taken == length:
        whole = torch.eye(taken)
    else:
        eye, mode = torch.eye(taken)[None, None], image.interpolation
        whole = functional.interpolate(eye, (length, taken), mode=mode, antialias=True, align_corners=False)[0, 0]
    start = round((length - kept) / 2)
    return whole[start : start + kept].contiguous()
