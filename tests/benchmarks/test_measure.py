import multiprocessing
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch
from torch import nn

from src.benchmarks.measure import fresh_processes, interleaved, peak_memory, peaks, saved_bytes
from src.benchmarks.trainee import Case


def test_every_round_runs_every_step_once_and_the_order_changes():
    ran = []
    taken = interleaved({name: lambda name=name: ran.append(name) for name in "abc"}, 6)
    rounds = ["".join(ran[i : i + 3]) for i in range(0, 18, 3)]
    assert set(taken) == set("abc") and all(sorted(order) == list("abc") for order in rounds) and len(set(rounds)) > 1


def test_the_time_is_the_median(monkeypatch):
    clock = iter([0, 1, 10, 19, 20, 22])  # 1, 9 and 2 seconds
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert interleaved({"only": lambda: None}, 3) == {"only": 2}


def test_saved_bytes_counts_each_storage_once_and_no_parameter():
    model, x = nn.Linear(8, 4, bias=False), torch.randn(16, 8)

    def forward():
        y = model(x)  # saves x and the weight
        z = y * y.view(16, 4)  # saves y twice, once as a view
        return (z.exp() + 1).sum()  # saves the result of exp

    assert saved_bytes(forward, model) == 4 * (16 * 8 + 16 * 4 + 16 * 4)
    model.register_buffer("scale", torch.randn(16, 4))
    assert saved_bytes(lambda: (model(x) * model.scale).sum(), model) == 4 * 16 * 8
    x.requires_grad_()  # now the weight is kept too, and is nobody's parameter here
    assert saved_bytes(lambda: model(x).sum(), nn.Identity()) == 4 * (16 * 8 + 8 * 4)
    with torch.no_grad():
        assert saved_bytes(forward, model) == 0


@pytest.mark.slow
@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="no fork server here")
@pytest.mark.skipif(torch.cuda.is_available(), reason="weighs GPU memory there")
def test_the_peak_is_the_steps_own_not_that_of_the_process_that_asks():
    ballast = torch.ones(100_000_000)
    with fresh_processes() as processes:
        small, large = (
            processes.submit(peak_memory, Case("test_vit", "fp32", batch, 160), "full", 1).result()
            for batch in (1, 128)
        )
    key = "peak_rss_above_start_bytes"
    pixels = 4 * 3 * 160 * 160
    assert 0 < small[key] < ballast.nbytes and large[key] > small[key] + 127 * pixels


def test_copies_of_weights_in_another_precision_count_for_nobody():
    model, x = nn.Linear(8, 4, bias=False), torch.randn(16, 8, requires_grad=True)

    def forward():
        with torch.autocast("cpu", torch.bfloat16):
            return model(x).float().sum()

    assert saved_bytes(forward, model) == 2 * 16 * 8  # x in bf16; the weight's copy is left out
    assert saved_bytes(forward, nn.Linear(8, 4, bias=False)) == 2 * (16 * 8 + 4 * 8)


def hold():
    """Hold 200 MB for a while; in a process that kept no freed memory before."""
    with peaks(0.001) as before:
        pass
    with peaks(0.001) as found:
        ballast = torch.ones(50_000_000)
        time.sleep(0.2)
        size = ballast.nbytes
        del ballast
    return before, found, size


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux' account of memory")
def test_peaks_hold_what_was_given_back_before_the_end():
    with fresh_processes() as processes:
        before, found, size = processes.submit(hold).result()
    assert found["peak_anonymous_bytes"] > before["peak_anonymous_bytes"] + 0.9 * size
    assert found["peak_resident_bytes"] >= found["peak_anonymous_bytes"]


def test_an_interrupt_ends_what_is_measured_too():
    with pytest.raises(KeyboardInterrupt), fresh_processes() as processes:
        slow = processes.submit(time.sleep, 60)
        while not slow.running():
            time.sleep(0.01)
        children = multiprocessing.active_children()
        raise KeyboardInterrupt
    assert children and not any(child.is_alive() for child in children)
    assert isinstance(slow.exception(), BrokenProcessPool)
