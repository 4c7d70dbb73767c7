import numpy as np
import pytest

from src.edge.golden import Golden


def held():
    random = np.random.default_rng(0)
    inputs = [random.integers(0, 256, size, dtype=np.uint8) for size in ((4, 5, 3), (6, 2, 3))]
    return Golden(inputs, (random.normal(size=(2, 3)).astype(np.float32), np.array([1, 2])), 0.01)


def test_round_trip_and_the_same_bytes():
    again = Golden.from_bytes(held().to_bytes())
    for kept, item in zip((*again.inputs, *again.outputs), (*held().inputs, *held().outputs), strict=True):
        np.testing.assert_array_equal(kept, item)
        assert kept.dtype == item.dtype
    assert again.tolerance == 0.01 and again.to_bytes() == held().to_bytes()


def test_floats_may_differ_within_the_tolerance_and_decisions_never():
    floats, decisions = held().outputs
    largest = np.abs(floats).max()
    assert largest > 1
    held().check((floats + np.float32(0.009 * largest), decisions))
    for wrong in (
        (floats + np.float32(0.011 * largest), decisions),
        (floats, decisions + 1),
        (floats[:, :2], decisions),
    ):
        with pytest.raises(ValueError, match="golden outputs on this machine"):
            held().check(wrong)


@pytest.mark.parametrize("content", [b"", b"text", held().to_bytes()[:-40], b"\x93NUMPY"])
def test_what_is_no_golden_file_is_refused(content):
    with pytest.raises(ValueError, match=r"golden\.npz cannot be read .*export the model again"):
        Golden.from_bytes(content)


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "evil.npz", input_0=np.array([{"a": 1}], dtype=object), tolerance=1.0)
    with pytest.raises(ValueError, match="cannot be read"):
        Golden.from_bytes((tmp_path / "evil.npz").read_bytes())


@pytest.mark.parametrize("tolerance", [0.0, np.inf, np.nan, 1.0])
def test_a_tolerance_that_proves_nothing_is_refused(tolerance):
    golden = held()
    with pytest.raises(ValueError, match="prove nothing"):
        Golden.from_bytes(Golden(golden.inputs, golden.outputs, tolerance).to_bytes())
