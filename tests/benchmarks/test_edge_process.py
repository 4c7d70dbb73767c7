from pathlib import Path

import numpy as np
import pytest

from src.benchmarks.edge_process import BARE, _predict, start_bundles, watch

LINUX = Path("/proc/self/status").exists()


def test_the_first_line_is_timed_and_the_peak_is_the_processs_own():
    ballast = np.ones(300_000_000, np.uint8)
    code = "import time; time.sleep(0.3); print(1, flush=True); x = b'1' * 50_000_000; print(2, flush=True); input()"
    seconds, peak = watch(("-c", f"{code.replace('; input()', '')}; time.sleep(0.6)"))
    assert 0.3 < seconds < 0.9 + 10 * (not ballast.all())
    if LINUX:
        assert 50_000_000 < peak < ballast.nbytes


@pytest.mark.parametrize("code", ["pass", "print(1); raise SystemExit('no such bundle')"])
def test_a_process_that_fails_is_said(code):
    with pytest.raises(RuntimeError, match=r"ended with [01]"):
        watch(("-c", code))


@pytest.mark.slow
def test_predict_is_started_beside_its_imports(bundles, photographs):
    rows = start_bundles(bundles[1:2], photographs[0].parent, 1)
    assert rows[0]["starts"] == 1 and rows[0]["import_seconds"] > 0
    assert rows[0]["start_seconds"] == rows[0]["min_start_seconds"]
    if LINUX:
        assert rows[0]["peak_bytes"] > watch(BARE)[1] > 10_000_000


@pytest.mark.slow
def test_what_is_started_loads_no_torch(bundles, photographs):
    module, name, *overrides = _predict(bundles[1], photographs[0])
    assert (module, name) == ("-m", "src.predict")
    code = (
        f"import runpy, sys; sys.argv[1:] = {overrides!r}\n"
        f"try: runpy.run_module({name!r}, run_name='__main__')\n"
        "finally: assert not {'torch', 'onnx', 'timm'} & set(sys.modules)"
    )
    assert watch(("-c", code))[0] > 0
