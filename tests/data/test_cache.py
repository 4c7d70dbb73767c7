import warnings

import numpy as np
import torch
from PIL import Image

from src.data.cache import PixelCache


def test_pixels_are_pillows_and_stay_when_the_file_goes(tmp_path, image, write_image):
    paths = [write_image(tmp_path / f"{index}.png", index) for index in range(3)]
    expected = [np.asarray(Image.open(path).resize((8, 8), Image.Resampling.BILINEAR)) for path in paths]
    cache = PixelCache(paths, image)
    for path in paths:
        path.unlink()
    for index, pixels in enumerate(expected):
        assert cache[index].is_contiguous()
        assert np.array_equal(cache[index].permute(1, 2, 0).numpy(), pixels)


def test_a_set_over_the_budget_is_read_anew(tmp_path, image, write_image):
    path = write_image(tmp_path / "0.png", 0)
    kept, read = PixelCache([path], image), PixelCache([path], image, budget_mib=0)
    first = read[0]
    assert torch.equal(first, kept[0])
    write_image(path, 1)
    assert torch.equal(first, kept[0])
    assert not torch.equal(first, read[0])


def test_a_change_of_an_item_leaves_the_cache_alone(tmp_path, image, write_image):
    cache = PixelCache([write_image(tmp_path / "0.png", 0)], image)
    before = cache[0].clone()
    cache[0].zero_()
    assert torch.equal(cache[0], before)


def test_broken_files_are_known_by_position_with_the_reason(tmp_path, image, write_image):
    paths = [write_image(tmp_path / f"{index}.png", index) for index in range(3)]
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    (tmp_path / "empty.png").touch()
    filters = list(warnings.filters)
    cache = PixelCache([*paths, tmp_path / "empty.png", tmp_path / "gone.png"], image)
    assert sorted(cache.errors) == [1, 3, 4]
    assert cache.errors[4] == "No such file or directory"
    assert warnings.filters == filters
