"""The suite by its command, on a tiny model."""

import json

import pytest

TINY = ("suite=edge", "models=[test_efficientnet]", "steps=2", "image_size=64")


@pytest.mark.slow
def test_every_file_has_a_row_and_every_goal_a_line(invoke, tmp_path):
    ended = invoke("benchmark", *TINY, f"output={tmp_path}")
    assert ended.code == 0, ended.err
    result, page = json.loads((tmp_path / "benchmark.json").read_text()), (tmp_path / "benchmark.md").read_text()
    rows = {(row["method"], row["precision"]): row for row in result["rows"]}
    assert list(rows) == [("base", "fp32"), ("merged", "fp32"), ("merged", "fp16"), ("merged", "int8")]
    for kind, row in rows.items():
        assert (row["suite"], row["model"], row["image_size"]) == ("edge", "test_efficientnet", 64)
        assert row["p50_ms"] > 0 and ("start_seconds" in row) == (kind in (("merged", "fp32"), ("merged", "int8")))
    for precision in ("fp32", "int8"):
        row = rows["merged", precision]
        assert {"overhead_ratio", "pipeline_ratio", "load_ms", "start_seconds", "import_seconds"} <= set(row)
    assert page.count("| test_efficientnet |") == 4 and "onnxruntime" in result["machine"]
    for fact in result["goals"]:
        value = rows["merged", fact["precision"]][fact["goal"]]
        above, below = value >= fact["limit"], value <= fact["limit"]
        assert fact["value"] == value and fact["reached"] == (above if "pipeline" in fact["goal"] else below)
    lines = page.count("- reached: ") + page.count("- missed: ")
    assert lines == len(result["goals"]) > 5
    assert all(word in page for word in ("n 2, warm-up 3, batch 1, threads 1, spinning off", "GFLOP/s"))
    table = ended.out.partition("reached: ")[0].partition("missed: ")[0]
    assert max(map(len, table.splitlines())) <= 100


def test_a_model_that_cannot_be_measured_is_a_row(invoke, tmp_path, monkeypatch):
    def broken(*arguments):
        raise ValueError("no such\nlayer")

    monkeypatch.setattr("src.benchmarks.edge.write_bundles", broken)
    ended = invoke("benchmark", *TINY, f"output={tmp_path}")
    rows = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    assert ended.code == 0 and [row["error"] for row in rows] == ["no such layer"] * 2 and "no such layer" in ended.out
    assert [row["precision"] for row in rows] == ["fp32", "int8"]


@pytest.mark.parametrize(
    ("override", "message"),
    [("models=[resnet5]", "resnet50"), ("methods=[base]", "suite=edge does not follow methods")],
)
def test_wrong_input_is_refused(invoke, tmp_path, override, message):
    ended = invoke("benchmark", *TINY, override, f"output={tmp_path / 'out'}")
    assert ended.code == 2 and message in ended.err and not (tmp_path / "out").exists()
