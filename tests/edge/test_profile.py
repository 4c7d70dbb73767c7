import numpy as np
import pytest
import torch

from src.backbones.pixels import normalise
from src.choices import PROFILES
from src.edge.preprocess import ImageError, resize
from src.edge.profile import FITS, normalised
from src.spec import ImageSpec


def test_a_grey_network_takes_grey():
    image = ImageSpec((6, 4), (0.5,), (0.25,), "bilinear", 1.0, "squash")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    expected = normalise(torch.from_numpy(resize(pixels, image))[None], image)[0]
    np.testing.assert_allclose(normalised(pixels, image), expected, atol=1e-5)


@pytest.mark.parametrize("profile", PROFILES)
def test_no_profile_takes_what_cannot_be_resized(profile):
    image = ImageSpec((224, 224), (0.5,) * 3, (0.25,) * 3, "bilinear", 0.875, "center")
    for wrong in (np.zeros((1, 20_000, 3), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((9, 9), np.uint8)):
        with pytest.raises(ImageError):
            FITS[profile](wrong, image)
