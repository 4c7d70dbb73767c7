import platform

import torch

from src.tasks.memory import keep_freed_memory


def test_large_blocks_are_reused_where_there_is_glibc():
    glibc = platform.libc_ver()[0] == "glibc"
    assert keep_freed_memory() == glibc
    if glibc:
        first = torch.empty(20_000_000)
        address = first.data_ptr()
        del first
        assert torch.empty(20_000_000).data_ptr() == address
