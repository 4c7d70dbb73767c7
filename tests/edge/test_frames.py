import numpy as np

from src.edge.frames import Frame, prepare
from src.edge.preprocess import ImageError, resize
from src.spec import ImageSpec

IMAGE = ImageSpec((6, 4), (0.0,) * 3, (1.0,) * 3, "bilinear", 1.0, "squash", 12)
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def fit(pixels):
    return resize(pixels, IMAGE)


def broken(_):
    raise ImageError("half of it is missing")


def test_a_picture_is_read_with_the_bit_depth_and_resized():
    depths = []
    picture = prepare(Frame("a.png", "a", lambda depth: depths.append(depth) or PIXELS), fit, 12, False)
    assert depths == [12] and picture.original is None and picture.ms > 0
    assert np.array_equal(picture.pixels, resize(PIXELS, IMAGE))
    assert prepare(Frame("a.png", "a", lambda _: PIXELS), fit, 12, keep_original=True).original is PIXELS


def test_a_broken_picture_says_which_it_is():
    picture = prepare(Frame("a.png", "a", broken), fit, 12, False)
    assert picture.pixels is None and picture.error == "a.png: half of it is missing"
