import json
import os
import sys

import torch

from src.benchmarks.machine import machine

module = sys.modules["src.benchmarks.machine"]  # the package shows the function under this name


def test_it_names_what_a_figure_depends_on():
    about = machine()
    assert about["cores"] == os.cpu_count() and about["threads"] == torch.get_num_threads()
    assert len(about["load"]) == 3 and json.dumps(about)


def test_bf16_is_read_from_the_processors_flags(monkeypatch):
    monkeypatch.setattr(module, "_cpuinfo", lambda: {"model name": "X", "flags": "avx2 avx512_bf16 sse"})
    about = machine()
    assert (about["cpu"], about["flags"], about["has_bf16"]) == ("X", ["avx2", "avx512_bf16"], True)
    monkeypatch.setattr(module, "_cpuinfo", lambda: {"flags": "avx2"})
    assert machine()["has_bf16"] is False
