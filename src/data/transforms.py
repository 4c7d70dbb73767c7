"""Augmentation of the training images: uint8 tensors, 3 x H x W, as the evaluation pipeline leaves them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import v2

Augment = Callable[[Tensor], Tensor]
# The order of `find_symmetry`; `auto` acts as `all` until a training has examined the images.
SYMMETRIES = ("all", "horizontal", "none")
_FLIPS = {"auto": 3, "all": 3, "horizontal": 1, "none": 0}


def none(symmetry: str = "none") -> Augment:
    """Leave the images as they are, whatever their symmetry is."""
    return nn.Identity()


def defects(brightness: float = 0.2, contrast: float = 0.2, symmetry: str = "all") -> Augment:
    """Flip and turn parts as far as they have no upright side, and vary the exposure; nothing is cut off.

    Args:
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of contrast.
        symmetry: `auto` or one of `SYMMETRIES`: the flips and turns under which a picture keeps its class.
    """
    return nn.Sequential(*_flips(symmetry), v2.ColorJitter(brightness=brightness, contrast=contrast))


def crops(area: float = 0.6, degrees: float = 10.0, jitter: float = 0.2, symmetry: str = "all") -> Augment:
    """Flip, turn a little, zoom in and vary the colour, as suits photographs of plants.

    Args:
        area: Smallest part of the area that the zoom keeps.
        degrees: Largest turn to either side.
        jitter: Largest relative change of brightness, contrast and saturation.
        symmetry: As `defects`; these flips hold no quarter turn.
    """
    colour = v2.ColorJitter(brightness=jitter, contrast=jitter, saturation=jitter)
    return nn.Sequential(*_flips(symmetry)[:2], Turn(degrees), Zoom(area), colour)


def _flips(symmetry: str) -> list[nn.Module]:
    """Return the random flips and turns of a symmetry.

    Raises:
        ValueError: There is no such symmetry.
    """
    if symmetry not in _FLIPS:
        raise ValueError(f"there is no symmetry {symmetry!r}: choose one of {', '.join(_FLIPS)}")
    return [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), QuarterTurns()][: _FLIPS[symmetry]]


class QuarterTurns(nn.Module):
    """Turn by 0, 90, 180 or 270 degrees; an image that is not square by 0 or 180, so that its size stays."""

    def forward(self, image: Tensor) -> Tensor:
        """Turn the image counter-clockwise."""
        turns = int(torch.randint(4, ()))
        square = image.shape[-2] == image.shape[-1]
        return torch.rot90(image, turns if square else turns // 2 * 2, dims=(-2, -1))


class Turn(nn.Module):
    """Turn by a random angle of at most `degrees`; the corners are filled with the mirrored picture.

    torchvision's `RandomRotation` fills them with one colour and darkens the seam, which looks like a crack.
    """

    def __init__(self, degrees: float) -> None:
        super().__init__()
        self.degrees = degrees

    def forward(self, image: Tensor) -> Tensor:
        """Turn the image counter-clockwise by the drawn angle."""
        angle = torch.empty(()).uniform_(-self.degrees, self.degrees).deg2rad()
        cos, sin, ratio = angle.cos(), angle.sin(), image.shape[-2] / image.shape[-1]
        matrix = torch.stack([cos, -sin * ratio, cos * 0, sin / ratio, cos, cos * 0]).view(1, 2, 3)
        grid = functional.affine_grid(matrix, [1, *image.shape], align_corners=False)
        turned = functional.grid_sample(image[None].float(), grid, padding_mode="reflection", align_corners=False)
        return turned[0].round().clamp(0, 255).to(torch.uint8)


class Zoom(nn.Module):
    """Cut out a random part of at least `area` and bring it back to the size of the input."""

    def __init__(self, area: float) -> None:
        super().__init__()
        self.area = area

    def forward(self, image: Tensor) -> Tensor:
        """Cut and resize the image."""
        zoomed: Tensor = v2.RandomResizedCrop(list(image.shape[-2:]), scale=(self.area, 1.0))(image)
        return zoomed
