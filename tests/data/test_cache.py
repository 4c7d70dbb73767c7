"""One cache, seen by one run: pixels, facts, errors, and what is decoded when; test_store has several runs."""

import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from src.data.cache import PixelCache
from src.data.quality.image_stats import measure
from src.edge.preprocess import ImageError, load, read_picture

ROOT = Path(__file__).parents[2]


@pytest.fixture
def decodings(monkeypatch):
    """The number of decodings so far, one entry each."""
    calls = []
    monkeypatch.setattr("src.data.contents.read_picture", lambda *args: calls.append(1) or read_picture(*args))
    monkeypatch.setattr("src.data.cache.load", lambda *args: calls.append(1) or load(*args))
    return calls


@pytest.fixture
def paths(tmp_path, write_image):
    return [write_image(tmp_path / f"{index}.png", index, (12 + index, 10)) for index in range(5)]


def assert_is(cache, paths, image):
    for index, path in enumerate(paths):
        assert cache[index].is_contiguous() and cache[index].dtype == torch.uint8
        assert np.array_equal(cache[index].permute(1, 2, 0).numpy(), load(path, image))
        assert cache.image_stats[index] == measure(read_picture(path))


@pytest.mark.parametrize("folder", ["cache", None])
def test_pixels_are_those_of_the_camera_and_facts_those_of_the_file(tmp_path, image, paths, open_cache, folder):
    folder = folder and tmp_path / folder
    for _ in range(2):
        cache = open_cache(paths, folder)
        assert_is(cache, paths, image)
        assert not cache.errors


def test_making_one_reads_and_writes_nothing(tmp_path, image, decodings):
    PixelCache([tmp_path / "gone.png"], ["00"], image, tmp_path / "cache")
    assert not decodings and not list(tmp_path.iterdir())


def test_the_second_opening_and_every_epoch_decode_nothing(tmp_path, paths, open_cache, decodings):
    first = open_cache(paths, tmp_path / "cache")
    again = open_cache(paths, tmp_path / "cache")
    for _ in range(2):
        assert all(torch.equal(first[index], again[index]) for index in range(5))
    assert len(decodings) == 5 and np.array_equal(first.image_stats, again.image_stats)


def test_without_a_folder_every_access_decodes_and_nothing_is_written(tmp_path, paths, open_cache, decodings):
    before = sorted(tmp_path.rglob("*"))
    cache = open_cache(paths)
    assert torch.equal(cache[0], cache[0])
    assert len(decodings) == 7 and sorted(tmp_path.rglob("*")) == before


def test_one_image_more_or_changed_is_one_decoding_more(tmp_path, image, paths, open_cache, decodings, write_image):
    open_cache(paths, tmp_path / "cache")
    paths.append(write_image(tmp_path / "more.png", 77))
    open_cache(paths, tmp_path / "cache")
    assert len(decodings) == 6
    write_image(paths[2], 99)
    cache = open_cache(paths, tmp_path / "cache")
    assert len(decodings) == 7
    assert_is(cache, paths, image)


def test_pixels_stay_when_the_file_goes(tmp_path, paths, open_cache):
    cache = open_cache(paths, tmp_path / "cache")
    before = [cache[index] for index in range(5)]
    for path in paths:
        path.unlink()
    assert all(torch.equal(cache[index], pixels) for index, pixels in enumerate(before))


def test_equal_files_are_decoded_and_kept_once(tmp_path, image, paths, open_cache, decodings):
    copy = tmp_path / "copy.png"
    copy.write_bytes(paths[3].read_bytes())
    cache = open_cache([copy, *paths, paths[0]], tmp_path / "cache")
    assert len(decodings) == 5
    assert_is(cache, [copy, *paths, paths[0]], image)
    kept = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.shard"))
    assert 5 * 3 * 8 * 8 < kept < 6 * 3 * 8 * 8 + 1000


@pytest.mark.parametrize(
    "change",
    [{"size": (6, 8)}, {"interpolation": "nearest"}, {"crop_pct": 0.5}, {"crop_mode": "center"}, {"bit_depth": 12}],
)
def test_other_settings_have_other_pixels_and_a_mean_changes_none(
    tmp_path, image, paths, open_cache, decodings, change
):
    open_cache(paths, tmp_path / "cache")
    other = replace(image, **change)
    assert_is(open_cache(paths, tmp_path / "cache", other), paths, other)
    assert len(decodings) == 10
    open_cache(paths, tmp_path / "cache", replace(image, mean=(0, 0, 0), std=(1, 1, 1)))
    assert len(decodings) == 10


def test_a_change_of_an_item_leaves_the_cache_alone(tmp_path, paths, open_cache):
    cache = open_cache(paths, tmp_path / "cache")
    before = cache[0].clone()
    cache[0].zero_()
    assert torch.equal(cache[0], before)


@pytest.mark.parametrize("folder", ["cache", None])
def test_broken_files_are_known_by_position_with_the_reason(tmp_path, paths, open_cache, folder):
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    (tmp_path / "empty.png").touch()
    filters = list(warnings.filters)
    for _ in range(2):
        cache = open_cache([*paths, tmp_path / "empty.png", tmp_path / "gone.png"], folder and tmp_path / folder)
        assert sorted(cache.errors) == [1, 5, 6]
        assert cache.errors[6] == "No such file or directory" and "broken" in cache.errors[5]
        assert cache.image_stats[[1, 5, 6]].tobytes() == bytes(3 * cache.image_stats.itemsize)
        with pytest.raises(ImageError, match=r"empty\.png: empty, broken"):
            cache[5]
    assert warnings.filters == filters


def test_a_file_that_changes_between_its_hash_and_its_decoding_is_not_kept(tmp_path, image, paths):
    digests = ["0" * 64, *(str(path) for path in paths[1:])]
    cache = PixelCache(paths, digests, image, tmp_path / "cache").fill()
    assert set(cache.errors.values()) == {"it was changed while it was read: start again"}
    assert not list((tmp_path / "cache").rglob("*.shard"))


def test_a_cache_that_is_deleted_or_cut_in_a_run_is_done_without(tmp_path, image, paths, open_cache, caplog):
    cache = open_cache(paths, tmp_path / "cache")
    (shard,) = (tmp_path / "cache").rglob("*.shard")
    shard.write_bytes(shard.read_bytes()[:-1])
    assert_is(cache, paths, image)
    assert caplog.text.count("not in the cache any more") == 1
    shard.unlink()
    assert_is(cache, paths, image)


def test_a_cache_can_be_pickled(tmp_path, image, paths, open_cache):
    cache = open_cache(paths, tmp_path / "cache")
    assert_is(pickle.loads(pickle.dumps(cache)), paths, image)


def test_nothing_to_read(tmp_path, open_cache):
    for folder in (tmp_path / "cache", None):
        cache = open_cache([], folder)
        assert not cache.errors and len(cache.image_stats) == 0


GROWTH = """
import hashlib, io, sys
from pathlib import Path
import numpy as np
from PIL import Image
from src.data.cache import PixelCache
from src.spec import ImageSpec

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

folder, image = Path(sys.argv[1]), ImageSpec((64, 64), (0, 0, 0), (1, 1, 1), "bilinear", 1.0, "squash")
paths, digests = [], []
for number in range(2000):
    path = folder / f"{number}.bmp"
    Image.fromarray(np.full((4, 4), number % 256, np.uint8)).resize((4 + number // 256, 5)).save(path)
    paths.append(path)
    digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
PixelCache(paths[:100], digests[:100], image, folder / "warm").fill()
held = []
for count in (200, 2000):
    cache = PixelCache(paths[:count], digests[:count], image, folder / f"cache{count}").fill()
    for epoch in range(2):
        for position in range(count):
            cache[position]
    held.append(anonymous())
print(*held)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux' account of memory")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    command = [sys.executable, "-c", GROWTH, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    few, many = map(int, ended.stdout.split())
    assert many - few < 8 * 1024  # KiB; the pixels of the 1,800 others are 21 MiB


def test_a_tga_is_known_by_its_name(tmp_path, image, open_cache):
    Image.new("RGB", (9, 9), "red").save(tmp_path / "a.tga")
    (tmp_path / "a.tga").write_bytes((tmp_path / "a.tga").read_bytes()[: 18 + 9 * 9 * 3])
    for folder in (None, tmp_path / "cache"):
        cache = open_cache([tmp_path / "a.tga"], folder)
        assert not cache.errors and cache[0][:, 0, 0].tolist() == [255, 0, 0]
