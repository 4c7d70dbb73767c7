import tracemalloc

import imagehash
import numpy as np
import pytest

from src.data.quality import duplicates
from src.data.quality.duplicates import find_duplicates
from tests.data.quality.test_alignment import COPIES, scene


def perceptual(image):
    return np.packbits(imagehash.phash(image.convert("L")).hash).view(">u8")[0]


def search(images, digests=None, **options):
    pixels = [np.asarray(image.convert("RGB")) for image in images]
    hashes = np.array([perceptual(image) for image in images], dtype=np.uint64)
    digests = digests or [f"{place:064d}" for place in range(len(images))]
    readable, bit_depth = options.pop("readable", [True] * len(images)), options.pop("bit_depth", 16)
    return find_duplicates(digests, hashes, readable, pixels.__getitem__, bit_depth, **options)


def test_equal_files_are_exact_and_changed_copies_near():
    images = [scene(0), scene(1), COPIES["compressed"](scene(0)), scene(1), COPIES["brighter"](scene(1))]
    found = search(images, ["a", "b", "c", "b", "d"])
    assert found.exact == ((1, 3),)
    assert found.near == ((0, 2), (1, 4))  # the copy of an equal file is reported once


def test_unlike_pictures_are_nothing():
    assert search([scene(seed) for seed in range(30)]).near == ()


def test_a_hash_hit_alone_does_not_count():
    one, other = scene(0), scene(0)
    other.paste(scene(50).crop((0, 0, 30, 30)), (80, 70))
    found = search([one, other])
    assert (found.hits, found.compared, found.near) == (1, 1, ())


def test_what_cannot_be_read_is_compared_with_nothing():
    assert search([scene(0), COPIES["compressed"](scene(0))], readable=[True, False]).hits == 0


def test_equal_files_that_cannot_be_read_are_no_duplicates():
    images = [scene(0), scene(1), scene(0), scene(1), scene(1)]
    found = search(images, ["a", "b", "a", "b", "b"], readable=[False, True, False, True, True])
    assert found.exact == ((1, 3), (1, 4))


@pytest.mark.parametrize("change", [{"bit_depth": 12}, {"MOST": 2}, {"DISTANCE": 0}])
def test_settings_that_decide_share_no_verdict(change, tmp_path, monkeypatch):
    images = [scene(0), *(COPIES[name](scene(0)) for name in ("compressed", "blurred", "gamma"))]
    search(images, folder=tmp_path)
    for name in change.keys() - {"bit_depth"}:
        monkeypatch.setattr(duplicates, name, change[name])
    options = {"bit_depth": change.get("bit_depth", 16)}
    assert search(images, folder=tmp_path, **options) == search(images, **options)
    assert len(list(tmp_path.iterdir())) == 2


def test_verdicts_are_kept_for_the_next_time_and_made_again_when_the_file_is_broken(tmp_path, monkeypatch):
    images = [scene(0), COPIES["compressed"](scene(0))]
    first = search(images, folder=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(duplicates, "same_picture", lambda *_: pytest.fail("compared again"))
        assert search(images, folder=tmp_path) == first
    (file,) = tmp_path.iterdir()
    file.write_text('[["')
    assert search(images, folder=tmp_path) == first


def test_only_the_nearest_are_compared_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(duplicates, "MOST", 1)
    images = [scene(0), COPIES["compressed"](scene(0)), COPIES["blurred"](scene(0))]
    found = search(images)
    assert (found.hits, found.compared, len(found.near)) == (3, 1, 1)


@pytest.mark.parametrize(("shown", "decoded"), [((0, 1, 2, 3), 1), ((0, 0, 0, 0), 2)], ids=["unlike", "alike"])
def test_a_picture_is_decoded_once_and_again_only_for_its_detail(shown, decoded):
    seen = []
    images = [np.asarray(scene(place)) for place in shown]
    hashes = np.zeros(4, np.uint64)
    find_duplicates(list("abcd"), hashes, [True] * 4, lambda place: seen.append(place) or images[place], 16)
    assert sorted(seen) == sorted(decoded * [0, 1, 2, 3])


def test_the_nearest_are_the_same_when_memory_holds_few(monkeypatch):
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**4, 200, dtype=np.uint64)  # all within four bits: 19,900 pairs
    places = np.arange(0, 400, 2)
    whole, count = duplicates._hits(hashes, places)
    monkeypatch.setattr(duplicates, "MOST", 100)
    assert count == len(whole) == 19_900
    assert duplicates._hits(hashes, places) == (whole[:100], 19_900)


def test_very_many_look_alikes_take_little_memory():
    hashes = np.zeros(3000, np.uint64)  # 4.5 million pairs, 108 MB when all are held
    tracemalloc.start()
    pairs, count = duplicates._hits(hashes, np.arange(3000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(pairs), count) == (duplicates.MOST, 3000 * 2999 // 2)
    assert peak < 40e6
