import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from src.data.quality.alignment import SIDE, match, thumbnail


def scene(seed: int, details: int = 7) -> Image.Image:
    """Draw a scene of soft spots, 160 x 200."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(60, 200, (details, details, 3), dtype=np.uint8))
    return coarse.resize((200, 160), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def trimmed(image: Image.Image, share: float) -> Image.Image:
    left, top = round(image.width * share), round(image.height * share)
    return image.crop((left, top, image.width - left, image.height - top))


COPIES = {
    "compressed": lambda image: jpeg(image, 40),
    "resized": lambda image: image.resize((90, 80), Image.Resampling.LANCZOS),
    "brighter": lambda image: image.point(lambda value: min(255, int(value * 1.3))),
    "gamma": lambda image: image.point(lambda value: int(255 * (value / 255) ** 0.8)),
    "trimmed": lambda image: trimmed(image, 0.02),
    "turned": lambda image: trimmed(image.rotate(1.5, Image.Resampling.BICUBIC), 0.03),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "grey": lambda image: image.convert("L").convert("RGB"),
}


def look(image: Image.Image) -> np.ndarray:
    return thumbnail(np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("change", COPIES)
@pytest.mark.parametrize("seed", range(4))
def test_a_changed_copy_is_the_same_picture(change, seed):
    image = scene(seed)
    assert match(look(image), look(COPIES[change](image))) is not None


@pytest.mark.parametrize("seed", range(4))
def test_another_picture_is_not_even_when_a_patch_alone_is_new(seed):
    image, patched = scene(seed), scene(seed)
    assert match(look(image), look(scene(seed + 100))) is None
    patched.paste(scene(seed + 50).crop((0, 0, 36, 36)), (80, 70))
    assert match(look(image), look(patched)) is None


def test_a_thumbnail_has_a_fixed_size_and_scale():
    white = thumbnail(np.full((30, 500, 3), 255, dtype=np.uint8))
    assert white.shape == (SIDE, SIDE) and white.dtype == np.uint8 and (white == 255).all()


def test_two_plain_pictures_of_one_colour_match():
    assert match(thumbnail(np.full((9, 9, 3), 80, np.uint8)), thumbnail(np.full((9, 9, 3), 80, np.uint8))) is not None
