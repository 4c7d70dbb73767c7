import pytest

from src.deploy import speed as speed_module
from src.deploy.graph import export_onnx
from src.deploy.speed import Speed, measure_speed
from tests.deploy.nets import IMAGE, TASK, conv_net, pixels


def test_the_shortest_time_counts_and_the_first_runs_do_not(tmp_path, monkeypatch):
    export_onnx(conv_net(), IMAGE, TASK, tmp_path / "model.onnx")
    model = (tmp_path / "model.onnx").read_bytes()
    monkeypatch.setattr(speed_module, "ROUNDS", 2)
    # start and end of each run, in seconds: three rounds to warm up, then 4 and 1 ms, then 2 and 3 ms
    lengths = [0.0] * 6 + [0.004, 0.001, 0.002, 0.003]
    clock = iter([moment for number, length in enumerate(lengths) for moment in (number, number + length)])
    monkeypatch.setattr(speed_module.time, "perf_counter", lambda: next(clock))
    found = measure_speed(model, model, pixels(1)[0], 1.2)
    assert (found.fp32_ms, found.shipped_ms) == (pytest.approx(2), pytest.approx(1)) and next(clock, None) is None
    assert found.to_dict()["speedup"] == found.speedup == pytest.approx(2)


def test_speed_refuses_only_where_one_is_wanted():
    assert Speed(2.0, 1.0, 1.2).broken() == Speed(1.0, 2.0, None).broken() == []
    assert Speed(1.1, 1.0, 1.2).broken() == ["1.10 times as fast as fp32, 1.2 times wanted"]
