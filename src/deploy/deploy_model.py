"""The network from pixels to a decision, in each profile."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..backbones.pixels import average_views, normalise
from ..edge.preprocess import resized
from ..kinds import find_kind
from ..spec import ImageSpec, TaskSpec

# Filters that ONNX and torch implement with the coefficients of Pillow.
GRAPH_FILTERS = ("bilinear", "bicubic")

# Matrices of the resize, which are no weights of the model and must not be quantised.
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
        """Return two black pictures: torch.export would treat a batch of 1 as constant."""
        return torch.zeros(2, *self.image.size, 3, dtype=torch.uint8)


class FloatDeployModel(DeployModel):
    """Profile `float`, for accelerators that normalise themselves: N x channels x H x W, normalised."""

    def enter(self, pixels: Tensor) -> Tensor:
        """Return the pixels as they are."""
        return pixels

    def example(self) -> Tensor:
        """Return two grey pictures."""
        return torch.zeros(2, len(self.image.mean), *self.image.size)


class ResizedDeployModel(DeployModel):
    """Profile `u8-resize`: pixels of the network's size as float32, from the resize nodes before it."""

    def example(self) -> Tensor:
        """Return two blank pictures."""
        return super().example().float()


class MatMulDeployModel(DeployModel):
    """Profile `u8-matmul`: pictures of one size, resized and cropped by a matrix product on each side.

    It avoids `Resize`, whose antialiasing some runtimes ignore.
    """

    def __init__(self, model: nn.Module, image: ImageSpec, task: TaskSpec, taken: tuple[int, int]) -> None:
        super().__init__(model, image, task)
        self.taken = taken
        lengths = resized(*taken, image)
        rows, columns = (_matrix(taken[axis], lengths[axis], image.size[axis], image) for axis in (0, 1))
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns.T.contiguous())

    def enter(self, pixels: Tensor) -> Tensor:
        """Resize and crop by two matrix products, then normalise."""
        x = pixels.permute(0, 3, 1, 2).float()
        # Rows first, then columns, each rounded to whole levels, as Pillow did in training.
        x = torch.matmul(x, self.columns).round().clamp(0, 255)  # type: ignore[arg-type]
        x = torch.matmul(self.rows, x).round().clamp(0, 255)  # type: ignore[arg-type]
        return normalise(x.permute(0, 2, 3, 1), self.image)

    def example(self) -> Tensor:
        """Return two black pictures of the camera's size."""
        return torch.zeros(2, *self.taken, 3, dtype=torch.uint8)


def _matrix(taken: int, length: int, kept: int, image: ImageSpec) -> Tensor:
    """Return the matrix (kept x taken) that resizes one side to `length` and crops its centre."""
    if taken == length:
        whole = torch.eye(taken)
    else:
        eye, mode = torch.eye(taken)[None, None], image.interpolation
        whole = functional.interpolate(eye, (length, taken), mode=mode, antialias=True, align_corners=False)[0, 0]
    start = round((length - kept) / 2)
    return whole[start : start + kept].contiguous()
