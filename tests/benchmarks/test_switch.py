import json
import time

from src.benchmarks import switch


def test_the_median_of_the_switches_after_one_round_is_told(monkeypatch):
    calls, now = [], 0.0
    costs = iter([100, 100, 1, 7, 2])  # the first of each name loads

    def change(name):
        nonlocal now
        calls.append(name)
        now += next(costs)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    assert switch.switch_seconds(change, ["a", "b"], rounds=3) == 2
    assert calls == ["a", "b", "a", "b", "a"]


def test_the_same_adapters_change_places_in_both(invoke, tmp_path, monkeypatch):
    monkeypatch.setattr(switch, "ADAPTERS", 2)
    ended = invoke("benchmark", "suite=switch", "models=[test_vit]", f"output={tmp_path}")
    assert ended.code == 0, ended.err
    graft, peft = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    assert graft["base_unchanged"] is True and graft["adapters"] == peft["adapters"] == 2
    assert graft["ratio_to_peft"] == graft["switch_seconds"] / peft["switch_seconds"]
    assert 0.5 < graft["adapter_bytes"] / peft["adapter_bytes"] < 2


def test_an_option_that_the_suite_does_not_follow_is_refused(invoke, tmp_path):
    ended = invoke("benchmark", "suite=switch", "steps=3", f"output={tmp_path / 'out'}")
    assert ended.code == 2 and "suite=switch does not follow steps: it takes models" in ended.err
    assert not (tmp_path / "out").exists()
