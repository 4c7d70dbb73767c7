import errno

import numpy as np
import pytest

from src.data.shards import INDEX, read_shard, write_shard

SHAPE = (3, 4, 5)


def contents(count=3):
    random = np.random.default_rng(0)
    index = np.frombuffer(random.bytes(count * INDEX.itemsize), INDEX)
    return index, random.integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def test_a_shard_gives_back_its_index_and_every_row(tmp_path):
    index, pixels = contents()
    written = write_shard(tmp_path, index, pixels)
    read, held = read_shard(written.path, SHAPE)
    assert read == written and held.tobytes() == index.tobytes()
    for number, row in enumerate(pixels):
        assert np.array_equal(read.row(number).numpy(), row)
    read.row(0).zero_()
    assert np.array_equal(read.row(0).numpy(), pixels[0])
    assert [path.name for path in tmp_path.iterdir()] == [written.path.name]


def test_the_file_is_two_records_of_numpy(tmp_path):
    index, pixels = contents()
    with write_shard(tmp_path, index, pixels).path.open("rb") as file:
        assert np.load(file).tobytes() == index.tobytes() and np.array_equal(np.load(file), pixels)
        assert not file.read()


def test_whatever_is_cut_off_or_added_is_noticed(tmp_path):
    whole = write_shard(tmp_path, *contents()).path
    data = whole.read_bytes()
    for changed in (*(data[:length] for length in range(0, len(data), 7)), data[:-1], data + b"\0", b"text" * 100):
        whole.write_bytes(changed)
        with pytest.raises(ValueError, match=r"it (was cut|has no header|holds)"):
            read_shard(whole, SHAPE)


def test_rows_of_another_shape_or_kind_are_noticed(tmp_path):
    index, pixels = contents()
    path = write_shard(tmp_path, index, pixels).path
    with pytest.raises(ValueError, match="its rows are not"):
        read_shard(path, (3, 5, 4))
    for first, second in ((index["facts"], pixels), (pixels, pixels), (index, pixels.astype(np.int8)), (index, index)):
        with path.open("wb") as file:
            np.save(file, first)
            np.save(file, second)
        with pytest.raises(ValueError, match="it holds"):
            read_shard(path, SHAPE)


@pytest.mark.parametrize("where", ["os.fsync", "os.replace", "src.data.shards._append"])
def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch, where):
    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(where, fail)
    with pytest.raises(OSError, match="No space"):
        write_shard(tmp_path, *contents())
    assert not list(tmp_path.iterdir())
