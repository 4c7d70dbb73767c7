import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from src.edge.memory import Watermark, release_freed_memory


def resident():
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) * 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")
def test_what_was_freed_goes_back_to_the_system():
    blocks = [np.ones(100_000, np.uint8) for _ in range(1000)]  # below the size that is given back at once
    last = np.ones(100_000, np.uint8)  # keeps the end of the heap in use
    del blocks
    before = resident()
    assert release_freed_memory() is True
    assert resident() < before - 80_000_000 and last.all()


def test_other_systems_keep_it(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert release_freed_memory() is False


def test_work_of_another_size_is_told_and_work_of_one_size_is_not():
    largest = Watermark(100)
    sizes = [50, 150, 150, 1000, 1000, 1100, 900, 1000, 120, 100, 20, 900]
    told = [1000, 120, 900]
    assert [size for size in sizes if largest.is_passed(size)] == told
