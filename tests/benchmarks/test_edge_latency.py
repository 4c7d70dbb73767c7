import pytest

from src.benchmarks.edge_latency import WARM_UP, spread, time_decisions


def test_percentiles_are_in_milliseconds():
    row = spread("read_", [0.001 * number for number in range(1, 102)])
    assert row == pytest.approx({"read_p50_ms": 51, "read_p95_ms": 96, "read_p99_ms": 100, "read_min_ms": 1})


@pytest.mark.slow
def test_every_bundle_has_all_fields_and_its_ratios_are_quotients(bundles, photographs, monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (1.5, 9, 9))
    base, fp32, fp16, int8 = time_decisions(bundles, photographs[0], 3)
    for row in (base, fp32, fp16, int8):
        assert (row["n"], row["warm_up"], row["batch"], row["threads"]) == (3, WARM_UP, 1, 1)
        assert row["spinning"] is False and row["provider"] == "CPUExecutionProvider" and row["load"] == 1.5
        assert 0 < row["min_ms"] <= row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["with_preprocessing_min_ms"] > row["min_ms"] and row["decode_min_ms"] > 0 < row["resize_min_ms"]
        assert row["gflops"] == pytest.approx(row["operations"] / row["p50_ms"] / 1e6)
        for name in ("", "min_"):
            assert row[f"{name}gemm_fraction"] == pytest.approx(row[f"{name}gflops"] / row[f"{name}gemm_gflops"])
    for row, key, reference in ((fp32, "base", base), (fp16, "fp32", fp32), (int8, "fp32", fp32)):
        assert row[f"ratio_to_{key}"] == pytest.approx(row["p50_ms"] / reference["p50_ms"])
        assert row[f"min_ratio_to_{key}"] == pytest.approx(row["min_ms"] / reference["min_ms"])
    assert not [key for key in base if "ratio_to" in key]
    assert fp16["gemm_gflops"] == fp32["gemm_gflops"] != int8["gemm_gflops"]
    assert int8["model_bytes"] < fp16["model_bytes"] < fp32["model_bytes"]
