import json

import pytest

from src.benchmarks.edge_serving import Fitted, Memory, time_serving
from src.benchmarks.edge_serving import _row as row_of
from src.benchmarks.edge_serving import _serve as serve
from src.edge import Runtime
from src.edge.inputs import Pictures


@pytest.mark.slow
def test_pictures_in_memory_get_the_decisions_of_their_files(bundles, photographs, tmp_path):
    folder, lines = bundles[1].folder, {}
    runtime = Runtime(folder, 1)
    sources = {
        "files": (runtime, Pictures(tuple(photographs))),
        "memory": (Fitted(folder, 1), Memory([runtime.load(path) for path in photographs])),
    }
    for name, (served, source) in sources.items():
        serve(served, source, tmp_path / name)
        lines[name] = [json.loads(line)["probabilities"] for line in (tmp_path / name).read_text().splitlines()]
    assert lines["files"] == lines["memory"] and len(lines["files"]) == len(photographs)


def test_figures_are_of_one_picture_beside_the_network():
    times = {"load": [1.0], "run": [10.0, 12.0], "share": [6.0, 6.0], "read": [20.0, 16.0], "serve": [11.0, 15.0]}
    row = row_of(10, **times, pipeline=[20.0, 25.0])
    assert row["overhead_ms"] == pytest.approx(200) and row["overhead_ratio"] == pytest.approx(2 / 11)
    assert row["min_overhead_ms"] == pytest.approx(100) and row["min_overhead_ratio"] == pytest.approx(0.1)
    assert row["pipeline_ratio"] == pytest.approx(18 / 22.5) and row["min_pipeline_ratio"] == pytest.approx(16 / 20)
    assert row["min_pipeline_images_per_second"] == 0.5 and row["read_ms"] == 1800
    assert row["min_free_cores"] == pytest.approx(10 / 6) and (row["load_ms"], row["serving_n"]) == (1000, 2)


@pytest.mark.slow
def test_every_bundle_has_a_row(bundles, photographs):
    rows = time_serving(bundles[1:3], photographs, 2)
    assert len(rows) == 2
    for row in rows:
        assert row["pictures"] == len(photographs) and row["serving_n"] == 2 and row["load_ms"] > 0
        assert row["pipeline_images_per_second"] > 0 and row["free_cores"] > 0
