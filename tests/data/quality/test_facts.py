import imagehash
import numpy as np
import pytest
from PIL import Image

from src.data.quality.facts import measure
from src.edge.preprocess import decode


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
        (160, 120), Image.Resampling.BICUBIC
    )
    image.save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_the_facts_are_those_of_the_file(picture):
    facts = measure(picture, decode(picture))
    grey = np.asarray(Image.open(picture).convert("L"))
    assert (facts["width"], facts["height"], facts["mode"]) == (160, 120, b"RGB")
    assert facts["brightness"] == pytest.approx(grey.mean() / 255, abs=1e-6)
    assert f"{int(facts['hash']):016x}" == str(imagehash.phash(Image.open(picture)))


def test_sharpness_is_the_variance_of_the_laplacian(picture):
    pixels = decode(picture)
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=float)
    inner = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    assert measure(picture, pixels)["sharpness"] == pytest.approx(inner.var(), rel=0.05)  # but for the border
    soft = np.repeat(grey.mean(axis=0, keepdims=True), 120, axis=0).astype(np.uint8)
    assert measure(picture, np.repeat(soft[..., None], 3, axis=2))["sharpness"] < 0.5 * inner.var()


def test_the_mode_is_the_files_own(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((8, 8), 40000, dtype=np.uint16)).save(path)
    assert measure(path, decode(path))["mode"] == b"I;16"
