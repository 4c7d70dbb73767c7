"""Surfaces under one lamp are no duplicates of each other, however alike their large bands; changed copies are."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from src.data.quality.alignment import match, thumbnail
from src.data.quality.detail import look, same_detail
from src.data.quality.duplicates import same_picture
from tests.data.quality.test_alignment import COPIES, scene


def bands(random, height, width):
    """Draw large light and dark bands, straight or round, soft or with hard edges, on a slope."""
    down, across = np.mgrid[0:height, 0:width] / max(height, width)
    turn = random.uniform(0, np.pi)
    middle = random.uniform(0.2, 0.8, 2)
    along = down * np.sin(turn) + across * np.cos(turn)
    along = np.hypot(down - middle[0], across - middle[1]) if random.random() < 0.3 else along
    hard = random.uniform(0.5, 6) if random.random() < 0.5 else 0.5
    wave = np.tanh(hard * np.sin(2 * np.pi * random.uniform(1.5, 4) * along + random.uniform(0, 6))) / np.tanh(hard)
    slope = random.uniform(-0.3, 0.3) * down + random.uniform(-0.3, 0.3) * across
    return random.uniform(90, 150) + random.uniform(20, 60) * (wave + slope)


def grain(random, height, width, kind, size, strength):
    """Draw a texture: even, brushed in one direction, or of single spots."""
    noise = random.normal(size=(height, width)) if kind < 2 else 1.0 * (random.random((height, width)) < 0.02)
    noise = gaussian_filter(noise, (size, 8 * size) if kind == 1 else size)
    return strength * (noise - noise.mean()) / noise.std()


def surface(base, texture, tint):
    return Image.fromarray(np.clip((base + texture)[..., None] * tint, 0, 255).astype(np.uint8))


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def changed(random, image):
    """Encode a picture again, resize it or change its brightness."""
    quality, part = int(random.integers(60, 96)), random.uniform(0.6, 1.5)
    gain, gamma = random.uniform(0.7, 1.3), random.uniform(0.7, 1.4)
    size = tuple(round(side * part) for side in image.size)
    ways = (
        lambda: jpeg(image, quality),
        lambda: image.resize(size, Image.Resampling.LANCZOS),
        lambda: jpeg(image.resize(size, Image.Resampling.BILINEAR), 90),
        lambda: image.point(lambda value: min(255, int(value * gain))),
        lambda: image.point(lambda value: int(255 * (value / 255) ** gamma)),
        lambda: jpeg(image.point(lambda value: min(255, int(value * gain))), quality),
    )
    return ways[int(random.integers(len(ways)))]()


def drawn(seed):
    """Draw a surface, a changed copy, and another surface with the same bands, sometimes of another colour."""
    random = np.random.default_rng(seed)
    shape = tuple(int(side) for side in random.integers(160, 300, 2))
    base, kind = bands(random, *shape), int(random.integers(3))
    texture = (kind, random.uniform(0.5, 1.6), random.uniform(4, 20))
    tints = [np.ones(3) if random.random() < 0.6 else random.uniform(0.6, 1.1, 3) for _ in range(2)]
    one = surface(base, grain(random, *shape, *texture), tints[0])
    other = surface(base, grain(random, *shape, *texture), tints[0] if random.random() < 0.7 else tints[1])
    return one, changed(random, one), changed(random, other) if random.random() < 0.5 else other


def same(one, other):
    pixels = [np.asarray(image.convert("RGB")) for image in (one, other)]
    return same_picture((0, 1), dict(enumerate(map(thumbnail, pixels))), lambda place: look(pixels[place]))


def wrong(seeds):
    """Return the seeds whose copy is taken for another picture, and those whose other surface is for the same."""
    missed, alarms = [], []
    for seed in seeds:
        one, copy, other = drawn(seed)
        missed += [] if same(one, copy) else [seed]
        alarms += [seed] if same(one, other) else []
    return missed, alarms


def test_the_bands_of_a_lamp_are_no_proof_and_grain_is():
    assert wrong(range(25)) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("start", [1000, 2000])
def test_neither_error_in_2000_pairs_of_each_kind(start):
    assert wrong(range(start, start + 1000)) == ([], [])


def test_smooth_pictures_alone_prove_nothing():
    down, across = np.mgrid[0:160, 0:200] / 200
    wave = 120 + 60 * np.sin(2 * np.pi * 3 * (0.8 * across + 0.6 * down))
    plain = surface(wave, 0, np.ones(3))
    assert not same(plain, plain.point(lambda value: int(value * 0.9)))
    assert same(plain, plain)


@pytest.mark.parametrize("change", COPIES)
def test_copies_of_a_scene_of_soft_spots_are_the_same(change):
    assert same(scene(1), COPIES[change](scene(1)))


def test_the_same_grain_in_another_colour_is_another_picture():
    random = np.random.default_rng(0)
    base, texture = bands(random, 160, 200), grain(random, 160, 200, 0, 0.8, 12)
    red, blue = (surface(base, texture, np.array(tint)) for tint in ((1.1, 0.8, 0.6), (0.6, 0.8, 1.1)))
    assert not same(red, blue) and same(red, red.convert("L").convert("RGB"))


def test_equal_thumbnails_alone_prove_nothing():
    """Of even surfaces a thumbnail shows neither the colour nor the grain of a large picture."""
    red, green = (Image.new("RGB", (96, 64), tint) for tint in ((150, 60, 60), (60, 106, 60)))
    assert (thumbnail(np.asarray(red)) == thumbnail(np.asarray(green))).all()
    assert not same(red, green) and same(red, red.copy())
    random = np.random.default_rng(0)
    worn, fine = (surface(np.full((512, 512), 128.5), grain(random, 512, 512, 0, 0.5, 0.7), np.ones(3)) for _ in "ab")
    assert (thumbnail(np.asarray(worn)) == thumbnail(np.asarray(fine))).all()
    assert not same(worn, fine)


def test_a_shifted_and_turned_copy_is_found():
    one = drawn(3)[0]
    turned = one.rotate(1.5, Image.Resampling.BICUBIC).crop((6, 6, one.width - 6, one.height - 6))
    moved = match(*(thumbnail(np.asarray(image)) for image in (one, turned)))
    assert moved is not None and same_detail(look(np.asarray(one)), look(np.asarray(turned)), moved)
