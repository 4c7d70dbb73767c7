import platform
import subprocess
import sys

import pytest

from src.tasks.memory import keep_freed_memory

FAULTS = """
import resource, torch
from src.tasks.memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(20_000_000).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
given_back = [faults() for _ in range(3)]
assert keep_freed_memory()
for _ in range(4):  # the heap grows until it has a place for the block
    faults()
print(min(given_back), max(faults() for _ in range(4)))
"""


def test_it_says_whether_there_is_glibc():
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc takes the advice")
def test_a_large_block_is_not_faulted_in_again():
    ended = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    given_back, kept = map(int, ended.stdout.split())
    assert given_back > 100 and kept < given_back / 100
