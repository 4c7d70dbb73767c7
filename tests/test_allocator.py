import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.allocator import Watermark, keep_freed_memory, release_freed_memory

FAULTS = """
import resource, torch
from src.allocator import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(20_000_000).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
given_back = [faults() for _ in range(3)]
assert keep_freed_memory()
for _ in range(20):  # the heap grows until it has a place for the block
    faults()
print(min(given_back), max(faults() for _ in range(4)))
"""


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
    assert release_freed_memory() is False and keep_freed_memory() is False


def test_work_of_another_size_is_told_and_work_of_one_size_is_not():
    largest = Watermark(100)
    sizes = [50, 150, 150, 1000, 1000, 1100, 900, 1000, 120, 100, 20, 900]
    told = [1000, 120, 900]
    assert [size for size in sizes if largest.is_passed(size)] == told


def test_it_says_whether_there_is_glibc():
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc takes the advice")
def test_a_large_block_is_not_faulted_in_again():
    ended = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    given_back, kept = map(int, ended.stdout.split())
    assert given_back > 100 and kept < given_back / 100
