"""What several runs, kills, other versions and full disks do to one cache."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from src.data.store import PixelStore
from src.edge.preprocess import load, read_picture

ROOT = Path(__file__).parents[2]

# Opens a cache of the files in a folder as a run does; a second argument slows every decoding down.
RUN = """
import hashlib, logging, sys, time
from pathlib import Path
import src.data.contents as contents
import src.data.store as store
from src.data.cache import PixelCache
from src.spec import ImageSpec

calls, read_picture = [], contents.read_picture
def slow(*args):
    calls.append(1)
    time.sleep(float(sys.argv[2]))
    return read_picture(*args)
contents.read_picture, contents.THREADS, store.SHARD_BYTES = slow, 1, 3 * 3 * 8 * 8  # three rows a shard
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
paths = sorted(Path(sys.argv[1]).glob("*.png"))
digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
image = ImageSpec((8, 8), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "bilinear", 1.0, "squash")
PixelCache(paths, digests, image, Path(sys.argv[1]) / "cache").fill()
print(len(calls))
"""


def started(folder, delay):
    command = [sys.executable, "-c", RUN, str(folder), str(delay)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def printed(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


@pytest.fixture
def paths(tmp_path, write_image):
    return [write_image(tmp_path / f"{index:02}.png", index) for index in range(12)]


def shards(folder):
    return sorted((folder / "cache").rglob("*.shard"))


def assert_is(cache, paths, image):
    for index, path in enumerate(paths):
        assert np.array_equal(cache[index].permute(1, 2, 0).numpy(), load(path, image))


@pytest.fixture
def decoded(monkeypatch):
    """The files that this process decodes, into shards of three rows."""
    calls = []

    def counted(*args):
        calls.append(args[0])
        return read_picture(*args)

    monkeypatch.setattr("src.data.contents.read_picture", counted)
    monkeypatch.setattr("src.data.store.SHARD_BYTES", 3 * 3 * 8 * 8)
    return calls


@pytest.mark.slow
def test_a_run_killed_while_it_fills_costs_the_next_one_only_what_was_not_written(
    tmp_path, paths, image, open_cache, decoded, caplog
):
    process = started(tmp_path, 0.2)
    while len(shards(tmp_path)) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (folder,) = {path.parent for path in shards(tmp_path)}
    (folder / ".half.shard.part").write_bytes(b"half")
    kept = 3 * len(shards(tmp_path))
    assert kept < 12
    caplog.set_level("INFO")
    cache = open_cache(paths, tmp_path / "cache")
    assert len(decoded) == 12 - kept and not cache.errors
    assert "half.shard.part, which a killed run left" in caplog.text
    assert not list(folder.glob(".*"))
    assert_is(cache, paths, image)


@pytest.mark.slow
def test_a_second_run_waits_for_the_first_and_decodes_nothing(tmp_path, paths, image, open_cache, decoded):
    first = started(tmp_path, 0.2)
    while not shards(tmp_path):
        assert first.poll() is None
        time.sleep(0.02)
    cache = open_cache(paths, tmp_path / "cache")
    assert printed(first) == "12\n" and not decoded
    assert_is(cache, paths, image)
    assert len(shards(tmp_path)) == 4


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:50], lambda data: b"", lambda data: b"no"]
)
def test_a_damaged_shard_is_removed_and_made_again(tmp_path, paths, image, open_cache, caplog, damage):
    open_cache(paths, tmp_path / "cache")
    (shard,) = shards(tmp_path)
    shard.write_bytes(damage(shard.read_bytes()))
    notes = shard.with_name("notes.txt")
    notes.write_text("mine")
    cache = open_cache(paths, tmp_path / "cache")
    assert f"removing {shard} from the cache" in caplog.text
    assert shards(tmp_path) != [shard] and len(shards(tmp_path)) == 1 and notes.exists()
    assert_is(cache, paths, image)


def test_a_cache_of_another_version_is_removed_unless_in_use(tmp_path, paths, image, open_cache, caplog, monkeypatch):
    def counted(*args):
        calls.append(1)
        return read_picture(*args)

    calls = []
    monkeypatch.setattr("src.data.contents.read_picture", counted)
    open_cache(paths, tmp_path / "cache")
    (old,) = {path.parent for path in shards(tmp_path)}
    for name in ("v0-pillow1.2.3-8x8-0123456789ab", "v0-pillow1.2.3-9x9-0123456789ab", "v0-pillow-mine"):
        (tmp_path / "cache" / name).mkdir()
    monkeypatch.setattr("src.data.store._CURRENT", "v2-pillow99.0-")
    caplog.set_level("INFO")
    with FileLock(tmp_path / "cache" / ".v0-pillow1.2.3-9x9-0123456789ab.lock"):
        open_cache(paths, tmp_path / "cache")
    assert len(calls) == 24 and not old.exists() and f"removing {old}" in caplog.text
    left = {path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith("v0")}
    assert left == {"v0-pillow1.2.3-9x9-0123456789ab", "v0-pillow-mine"}
    assert "in use: left alone" in caplog.text


def test_too_little_space_is_told_before_anything_is_decoded(tmp_path, paths, open_cache, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 2000))
    monkeypatch.setattr("src.data.contents.read_picture", None)
    with pytest.raises(ValueError, match=r"cache in .*8x8.* needs 0\.0 MiB for 12 images .*data\.cache_dir=DIR.*=null"):
        open_cache(paths, tmp_path / "cache")
    monkeypatch.undo()
    open_cache(paths, tmp_path / "cache")  # the lock is free again


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("where", ["os.fsync", "src.data.shards._append"])
def test_a_disk_that_fills_up_is_told_and_no_half_file_is_left(
    tmp_path, paths, image, open_cache, monkeypatch, where, code
):
    def full(*args):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        with pytest.raises(ValueError, match=r"the disk is full: the cache in .*8x8.*data\.cache_dir=null") as told:
            open_cache(paths, tmp_path / "cache")
    assert "\n" not in str(told.value)
    assert [path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file()] in ([".lock"], [])
    assert_is(open_cache(paths, tmp_path / "cache"), paths, image)


def test_a_folder_that_cannot_be_made_is_told(tmp_path, paths, open_cache):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ValueError, match=r"cannot be written .*: set data\.cache_dir=DIR"):
        open_cache(paths, tmp_path / "cache")


def test_a_filled_cache_needs_no_lock_and_no_right_to_write(tmp_path, paths, open_cache, image):
    open_cache(paths, tmp_path / "cache")
    store = PixelStore(tmp_path / "cache", image)
    with store.lock():
        assert_is(open_cache(paths, tmp_path / "cache"), paths, image)


def test_a_shard_holds_about_32_mib(tmp_path, image):
    assert PixelStore(tmp_path, replace(image, size=(224, 224))).rows == 222
    assert PixelStore(tmp_path, replace(image, size=(8000, 8000))).rows == 1
    assert not list(tmp_path.iterdir())
