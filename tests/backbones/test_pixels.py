import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from src.backbones.pixels import average_views, normalise
from src.spec import QUARTER_TURNS, ImageSpec

IMAGE = ImageSpec((5, 7), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bilinear", 1.0, "center")
FLIPS = {
    "identity": lambda images: images,
    "horizontal": functional.horizontal_flip,
    "vertical": functional.vertical_flip,
    "both": lambda images: functional.horizontal_flip(functional.vertical_flip(images)),
}
TURNS = {
    "transpose": Image.Transpose.TRANSPOSE,
    "rotate90": Image.Transpose.ROTATE_90,
    "rotate270": Image.Transpose.ROTATE_270,
    "transverse": Image.Transpose.TRANSVERSE,
}


def test_normalise_is_that_of_torchvision():
    pixels = torch.randint(0, 256, (3, 5, 7, 3), dtype=torch.uint8)
    scaled = functional.to_dtype(pixels.permute(0, 3, 1, 2), torch.float32, scale=True)
    torch.testing.assert_close(normalise(pixels, IMAGE), functional.normalize(scaled, IMAGE.mean, IMAGE.std))


def test_one_view_is_the_models_own_output_bit_for_bit():
    images, model = torch.randn(4, 3, 5, 7), torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(105, 3))
    assert torch.equal(average_views(model, images, ("identity",)), model(images))


@pytest.mark.parametrize(
    "views", [("horizontal",), ("identity", "vertical"), tuple(FLIPS), ("both", "identity", "horizontal")]
)
def test_views_are_averaged_per_picture(views):
    images, model = torch.randn(4, 3, 5, 7), torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(105, 3))
    expected = torch.stack([model(FLIPS[view](images)) for view in views]).mean(dim=0)
    torch.testing.assert_close(average_views(model, images, views), expected)


@pytest.mark.parametrize("view", QUARTER_TURNS)
def test_quarter_turns_are_pillows(view):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    turned = np.asarray(Image.fromarray(pixels).transpose(TURNS[view]))
    images, model = (
        (torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() for array in (pixels, turned)),
        torch.nn.Flatten(),
    )
    given, expected = images
    assert torch.equal(average_views(model, given, (view,)), model(expected))


def test_one_channel_is_pillows_grey():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    grey = ImageSpec((5, 4), (0.5,), (0.25,), "bilinear", 1.0, "center")
    found = normalise(torch.from_numpy(pixels), grey)
    pillow = np.stack([np.asarray(Image.fromarray(each).convert("L")) for each in pixels])[:, None]
    assert found.shape == (2, 1, 5, 4)
    np.testing.assert_allclose(found, (pillow / 255 - 0.5) / 0.25, atol=1 / 255 / 0.25)
