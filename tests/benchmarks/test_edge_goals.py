import pytest

from src.benchmarks.edge_goals import GOALS, outcomes, summarise
from src.benchmarks.suite import Options

LITE0 = {"model": "tf_efficientnet_lite0", "method": "merged", "precision": "fp32"}


def found(row, key):
    (outcome,) = [each for each in outcomes([row]) if each.goal.key == key]
    return outcome


@pytest.mark.parametrize(
    ("precision", "key", "good", "bad"),
    [
        ("fp32", "ratio_to_base", 1.02, 1.021),
        ("int8", "ratio_to_fp32", 0.5, 0.501),
        ("int8", "overhead_ratio", 0.1, 0.101),
        ("fp32", "start_seconds", 1.0, 1.01),
        ("fp32", "peak_bytes", 150_000_000, 150_000_001),
        ("int8", "pipeline_ratio", 0.9, 0.899),
    ],
)
def test_a_goal_is_reached_at_its_limit_and_missed_beyond(precision, key, good, bad):
    row = LITE0 | {"precision": precision}
    reached, missed, none = (found(row | figures, key) for figures in ({key: good}, {key: bad}, {}))
    assert reached.reached and reached.line().startswith("reached: tf_efficientnet_lite0")
    assert not missed.reached and missed.line().startswith("missed: ")
    assert not none.reached and none.line().startswith("not measured: ") and none.to_dict()["value"] is None


def test_limits_are_those_of_the_model_and_the_precision():
    resnet = {"model": "resnet18", "method": "merged", "precision": "int8", "ratio_to_fp32": 0.4}
    assert not found(resnet, "ratio_to_fp32").reached
    keys = {each.goal.key for each in outcomes([resnet | {"model": "another"}])}
    assert "ratio_to_fp32" not in keys and "peak_bytes" not in keys and "pipeline_ratio" in keys
    assert not outcomes([resnet | {"method": "base"}, resnet | {"precision": "fp16"}])


def test_all_goals_are_lines_and_facts_whether_reached_or_not():
    rows = [LITE0 | {"ratio_to_base": 1.0}, LITE0 | {"precision": "int8", "ratio_to_fp32": 0.9}]
    summary = summarise(Options(), rows, {})
    assert {fact["goal"] for fact in summary.facts["goals"]} == {goal.key for goal in GOALS}
    assert len(summary.lines) == len(summary.facts["goals"])
    assert [fact["goal"] for fact in summary.facts["goals"] if fact["reached"]] == ["ratio_to_base"]
