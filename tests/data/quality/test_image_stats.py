from dataclasses import replace

import imagehash
import numpy as np
import pytest
from PIL import Image

from src.data.quality.image_stats import measure
from src.edge.preprocess import read_picture


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
        (160, 120), Image.Resampling.BICUBIC
    )
    image.save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_the_facts_are_those_of_the_file(picture):
    image_stats = measure(read_picture(picture))
    grey = np.asarray(Image.open(picture).convert("L"))
    assert (image_stats["width"], image_stats["height"], image_stats["mode"]) == (160, 120, b"RGB")
    assert image_stats["brightness"] == pytest.approx(grey.mean() / 255, abs=1e-6)
    assert f"{int(image_stats['hash']):016x}" == str(imagehash.phash(Image.open(picture)))


def test_sharpness_is_the_variance_of_the_laplacian(picture):
    whole = read_picture(picture)
    grey = np.asarray(Image.fromarray(whole.pixels).convert("L"), dtype=float)
    inner = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    assert measure(whole)["sharpness"] == pytest.approx(inner.var(), rel=0.05)  # but for the border
    soft = np.repeat(grey.mean(axis=0, keepdims=True), 120, axis=0).astype(np.uint8)
    flat = replace(whole, pixels=np.repeat(soft[..., None], 3, axis=2))
    assert measure(flat)["sharpness"] < 0.5 * inner.var()


def test_the_mode_is_the_files_own(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((8, 8), 40000, dtype=np.uint16)).save(path)
    image_stats = measure(read_picture(path))
    assert (image_stats["mode"], image_stats["brightest"], image_stats["frames"]) == (b"I;16", 40000, 1)
