"""Images as tensors, augmented the same way whenever the same epoch comes round."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.utils.data import Dataset

from ..draws import Draws
from .cache import PixelCache
from .sampler import Draw, mix
from .transforms import Augment

Target = int | Tensor
Item = tuple[Tensor, Target, int] | tuple[Tensor, Target, int, Tensor]


class ImageDataset(Dataset[Item]):
    """The images of one split.

    An item is the image (uint8, 3 x H x W, not normalised), its target, and its own index in the split; where the
    images do not all count the same, also its weight (float32, a scalar).
    """

    def __init__(
        self,
        pixels: PixelCache,
        positions: Sequence[int],
        targets: Sequence[Target],
        augment: Augment | None = None,
        seed: int = 0,
        weights: Tensor | None = None,
    ) -> None:
        """Bind the split.

        Args:
            pixels: Pixels of all images.
            positions: Where the images of this split are in `pixels`.
            targets: Class index of each of them, or the probability of every class (float32).
            augment: Random change of an image; it must draw by torch alone, on the CPU.
            seed: Decides, with epoch and index, what `augment` draws.
            weights: How much each of them counts in the loss (float32), or None where all count the same.
        """
        self._pixels, self._positions, self._targets = pixels, positions, targets
        self._augment, self._seed, self._weights = augment, seed, weights

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, draw: int | Draw) -> Item:
        epoch, index, again = draw if isinstance(draw, Draw) else Draw(0, draw)
        image = self._pixels[self._positions[index]]
        if self._augment is not None:
            with Draws(mix(self._seed, epoch, index, *[again] * (again > 0))):
                image = self._augment(image)
        if self._weights is None:
            return image, self._targets[index], index
        return image, self._targets[index], index, self._weights[index]
