import numpy as np
import torch

from src.backbones.pixels import normalise
from src.edge.preprocess import resize
from src.edge.profile import normalised
from src.spec import ImageSpec


def test_a_grey_network_takes_grey():
    image = ImageSpec((6, 4), (0.5,), (0.25,), "bilinear", 1.0, "squash")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    expected = normalise(torch.from_numpy(resize(pixels, image))[None], image)[0]
    np.testing.assert_allclose(normalised(pixels, image), expected, atol=1e-5)
