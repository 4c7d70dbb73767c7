"""One model in training by one method: what a step suite times and weighs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from ..backbones import create_backbone
from ..tasks.build import best_device, is_conv_net
from .methods import METHODS

CLASSES = 5
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Case:
    """What all methods have in common when they are compared: timm name, precision, batch, and pixels a side."""

    model: str
    precision: str
    batch: int
    image_size: int


@dataclass(frozen=True)
class Trainee:
    """A model in train mode with its optimiser (None where nothing is trained) and its one batch."""

    model: nn.Module
    optimizer: Optimizer | None
    images: Tensor
    targets: Tensor
    dtype: torch.dtype

    def loss(self) -> Tensor:
        """Return the loss of the batch, in autocast where the precision is a lower one than fp32."""
        with torch.autocast(self.images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return F.cross_entropy(self.model(self.images), self.targets)

    def step(self) -> None:
        """Take one whole training step, and wait for the GPU to end it."""
        self.loss().backward()  # type: ignore[no-untyped-call]
        if self.optimizer is not None:
            self.optimizer.step()
            self.optimizer.zero_grad()
        if self.images.is_cuda:
            torch.cuda.synchronize()

    def trainable_parameters(self) -> int:
        """Return the number of values that are trained."""
        return sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad)


def build(case: Case, method: str) -> Trainee:
    """Build the model of `case` with random weights, made trainable by `method`, and the same noise for all."""
    size = (case.image_size, case.image_size)
    generator = torch.Generator().manual_seed(0)
    plain = draw_zeros(create_backbone(case.model, "none", CLASSES, size)[0], generator).to(best_device())
    layout = torch.channels_last if is_conv_net(plain) else torch.contiguous_format
    model = METHODS[method](plain.to(memory_format=layout)).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    images = torch.randn(case.batch, 3, *size, generator=generator).to(best_device(), memory_format=layout)
    targets = torch.arange(case.batch, device=images.device) % CLASSES
    optimizer = AdamW(trained, fused=True) if trained else None
    return Trainee(model, optimizer, images, targets, PRECISIONS[case.precision])


def draw_zeros(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw parameters that are all zero (ResNet's last norms) at random, in place: what lies before them were dead."""
    for parameter in model.parameters():
        if not parameter.any():
            parameter.data.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
    return model
