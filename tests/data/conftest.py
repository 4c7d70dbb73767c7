import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from src.data.cache import PixelCache
from src.spec import ImageSpec


def _write(path: Path, seed: int, size: tuple[int, int] = (12, 10)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Write a picture of noise and return its path."""
    return _write


@pytest.fixture
def open_cache(image: ImageSpec) -> Callable[..., PixelCache]:
    """Open a cache of files, their digests taken now."""

    def open_now(paths: Sequence[Path], folder: Path | None = None, image: ImageSpec = image) -> PixelCache:
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else str(path) for path in paths]
        return PixelCache(paths, digests, image, folder).fill()

    return open_now


@pytest.fixture
def image() -> ImageSpec:
    return ImageSpec((8, 8), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "bilinear", 1.0, "squash")


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write `count` different images into each named folder of tmp_path."""

    def make(**folders: int) -> Path:
        for number, (name, count) in enumerate(folders.items()):
            for index in range(count):
                _write(tmp_path / name.replace("__", "/") / f"{index:03}.png", 1000 * number + index)
        return tmp_path

    return make


@pytest.fixture
def data_config() -> Callable[..., DictConfig]:
    """Return the config of a source as a command composes it, without the repository's cache."""

    def read(name: str, seed: int = 0) -> DictConfig:
        conf = Path(__file__).parents[2] / "conf"
        with initialize_config_dir(str(conf), version_base="1.3"):
            config: DictConfig = compose("train", [f"data={name}", f"seed={seed}", "data.cache_dir=null"]).data
        return config

    return read
