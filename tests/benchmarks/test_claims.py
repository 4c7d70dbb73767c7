"""The suite by its command: order, skipped sets, failures, what is kept and taken up again."""

import json
import shutil

import pytest

from src.benchmarks import claims
from src.benchmarks.claims import SUITE, command
from src.benchmarks.contenders import CONTENDERS
from src.benchmarks.machine import machine
from src.benchmarks.sets import EPOCHS
from src.benchmarks.suite import Options
from tests.benchmarks.test_verdicts import trial as figures

TINY = ("suite=claims", "models=[test_efficientnet]", "weights=none", "image_size=64", "batch=8")


@pytest.fixture
def root(tmp_path, plates):
    shutil.copytree(plates, tmp_path / "sets" / "plates")
    return tmp_path / "sets"


@pytest.fixture
def trained(monkeypatch):
    """Give figures without training, and keep what was asked for."""
    asked = []

    def measured(function, trial, root, cache):
        asked.append(trial)
        if trial.method == "peft":
            return {"error": "peft is not installed"}
        row = figures(trial.dataset, trial.seed, trial.method)
        scores = (0.5, 0.8, 0.7) if trial.method == "full" else (0.6, 0.7, 0.8)
        points = [{"seconds": 10.0 * (n + 1), "val_balanced_accuracy": score} for n, score in enumerate(scores)]
        return {**row, "model": trial.model, "curve": points, "kept_epoch": 2}

    monkeypatch.setattr("src.benchmarks.claims.measured", measured)
    return asked


@pytest.mark.slow
def test_a_real_training_of_two_methods_has_every_promised_figure(invoke, root, tmp_path):
    ended = invoke(
        "benchmark",
        *TINY,
        "datasets=[plates]",
        "seeds=[0]",
        "epochs=1",
        "limit=40",
        "methods=[graft,full]",
        f"datasets_root={root}",
        f"output={tmp_path / 'out'}",
    )
    assert ended.code == 0, ended.err
    result = json.loads((tmp_path / "out/benchmark.json").read_text())
    full, graft = result["rows"]
    assert (full["method"], graft["method"]) == ("full", "graft") and "error" not in full | graft
    promised = (
        *("suite", "model", "precision", "dataset", "seed", "balanced_accuracy", "auroc", "seconds"),
        *("seconds_to_full_score", "peak_mib", "adapter_bytes", "checkpoint_bytes", "forgetting_max_abs"),
    )
    assert set(full) >= set(promised) and set(graft) >= set(promised)
    assert full["seconds_to_full_score"] == full["curve"][0]["seconds"] and full["peak_mib"] > 0
    assert graft["forgetting_max_abs"] == 0 < full["forgetting_max_abs"]
    passed = {(claim["dataset"], claim["claim"]): claim["passed"] for claim in result["claims"]}
    assert passed["plates", "forgetting"] is True and ("all", "forgetting") not in passed
    page = (tmp_path / "out/claims.html").read_text()
    assert page.count("<svg") == 1 and "<script" not in page


def test_every_method_runs_for_every_set_and_seed_full_fine_tuning_first(invoke, root, tmp_path, trained):
    ended = invoke("benchmark", *TINY, f"datasets_root={root}", "datasets=[plates]", f"output={tmp_path / 'out'}")
    assert ended.code == 0, ended.err
    distinct = [method for method in CONTENDERS if method != "graft_attention"]  # all layers are convolutions
    assert [(t.seed, t.method) for t in trained] == [(seed, method) for seed in (0, 1, 2) for method in distinct]
    assert "skipped: graft_attention on test_efficientnet: it adapts the layers of graft_all" in ended.out
    assert next(iter(CONTENDERS)) == "full" and {t.epochs for t in trained} == {EPOCHS}
    rows = {row["method"]: row for row in json.loads((tmp_path / "out/benchmark.json").read_text())["rows"]}
    assert rows["full"]["seconds_to_full_score"] == 20  # 0.8 comes before 0.7, which was kept
    assert rows["graft"]["seconds_to_full_score"] == 20  # the first of at least 0.7
    assert rows["peft"]["error"] == "peft is not installed" and "seconds" not in rows["peft"]
    assert "plates, 0, peft: peft is not installed" in ended.out
    assert max(map(len, ended.out.splitlines()[:30])) <= 100


def test_absent_sets_are_named_in_the_output_and_in_the_files(invoke, root, tmp_path, trained, caplog):
    ended = invoke("benchmark", *TINY, f"datasets_root={root}", "datasets=[xsdd,plates]", f"output={tmp_path / 'out'}")
    assert ended.code == 0 and "skipped: xsdd: " in ended.out and "xsdd is skipped: " in caplog.text
    skipped = json.loads((tmp_path / "out/benchmark.json").read_text())["skipped"]
    assert list(skipped) == ["xsdd", "graft_attention on test_efficientnet"]
    assert all("skipped: xsdd: " in (tmp_path / "out" / name).read_text() for name in ("benchmark.md", "claims.html"))
    ended = invoke("benchmark", *TINY, f"datasets_root={root}", "datasets=[xsdd]", f"output={tmp_path / 'none'}")
    assert ended.code == 0 and json.loads((tmp_path / "none/benchmark.json").read_text())["rows"] == []


def test_a_benchmark_that_is_killed_keeps_its_rows_and_goes_on_from_them(invoke, root, tmp_path, trained, monkeypatch):
    out, arguments = tmp_path / "out", (*TINY, f"datasets_root={root}", "datasets=[plates]", "seeds=[0]")

    class Killed(BaseException):
        pass

    def killed(*arguments):
        raise Killed

    invoke("benchmark", *arguments, "methods=[full,peft]", f"output={out}")
    before = json.loads((out / "benchmark.json").read_text())["rows"]
    del trained[:]
    ended = invoke("benchmark", *arguments, "methods=[full,peft,graft]", f"output={out}")
    assert ended.code == 0 and [t.method for t in trained] == ["graft", "peft"]  # the failed one is tried again
    rows = json.loads((out / "benchmark.json").read_text())["rows"]
    assert rows[0] == before[0] and rows[1]["seconds_to_full_score"] == 20
    assert len({row["code_sha256"] for row in rows}) == 1 and all(len(row["code_sha256"]) == 64 for row in rows)
    other = [row | {"code_sha256": "0" * 64} for row in rows]
    (out / "benchmark.json").write_text(json.dumps({"machine": machine(), "rows": other}))
    ended = invoke("benchmark", *arguments, "methods=[full]", f"output={out}")
    assert ended.code == 2 and "measured by other code, which is never in one table" in ended.err
    older = [row | {"commit": "another"} for row in rows[1:]]
    (out / "benchmark.json").write_text(json.dumps({"machine": machine(), "rows": older}))
    del trained[:]

    def second_dies(*arguments):
        monkeypatch.setattr("src.benchmarks.claims.measured", killed)
        return first(*arguments)

    first = claims.measured
    monkeypatch.setattr("src.benchmarks.claims.measured", second_dies)
    with pytest.raises(Killed):  # after full, at head; graft comes later, and stays
        invoke("benchmark", *arguments, "methods=[full,head,graft]", f"output={out}")
    kept = json.loads((out / "benchmark.json").read_text())["rows"]
    assert [row["method"] for row in kept] == ["full", "graft", "peft"]


def test_a_network_with_attention_has_a_row_for_it_and_elpv_takes_fewer_epochs(invoke, root, tmp_path, trained):
    asked = ("models=[test_vit]", "methods=[graft_attention,graft_all]", "seeds=[0]", "datasets=[elpv,plates]")
    ended = invoke("benchmark", *TINY, *asked, f"datasets_root={root}", f"output={tmp_path / 'out'}")
    assert ended.code == 0 and "skipped" not in ended.out
    epochs = [(t.method, t.dataset, t.epochs) for t in trained]
    both = ("graft_attention", "graft_all")
    assert epochs == [(method, name, n) for name, n in (("elpv", 4), ("plates", EPOCHS)) for method in both]


def test_rows_of_another_machine_are_not_gone_on_from(invoke, root, tmp_path, trained):
    arguments = (*TINY, f"datasets_root={root}", "datasets=[plates]", f"output={tmp_path}")
    (tmp_path / "benchmark.json").write_text(json.dumps({"machine": {**machine(), "cores": 999}, "rows": []}))
    ended = invoke("benchmark", *arguments)
    assert ended.code == 2 and "was measured with cores 999, here it is " in ended.err and not trained
    (tmp_path / "benchmark.json").write_text(json.dumps({"machine": {**machine(), "load": [9, 9, 9]}, "rows": []}))
    assert invoke("benchmark", *arguments).code == 0


def test_a_training_by_other_settings_is_another_one(invoke, root, tmp_path, trained):
    arguments = (*TINY, f"datasets_root={root}", "datasets=[plates]", "seeds=[0]", "methods=[full]")
    for number, changed in enumerate(("epochs=3", "epochs=4", "limit=30", "epochs=4"), start=1):
        invoke("benchmark", *arguments, changed, f"output={tmp_path / 'out'}")
        assert len(trained) == number
    invoke("benchmark", *arguments, "epochs=4", f"output={tmp_path / 'out'}")
    assert len(trained) == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("datasets=[plats]", "did you mean plates?"),
        ("methods=[lora]", "methods=lora is unknown: choose from full, head, graft"),
        ("models=[resnet5]", "near names: "),
        ("seeds=[-1]", "seeds=-1: give whole numbers"),
        ("epochs=0", "epochs=0: give a whole number"),
        ("limit=many", "limit='many'"),
        ("precisions=[bf16]", "suite=claims does not follow precisions"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_trained(invoke, root, tmp_path, trained, override, message):
    ended = invoke("benchmark", *TINY, f"datasets_root={root}", f"output={tmp_path / 'out'}", override)
    assert ended.code == 2 and message in ended.err and len(ended.err.splitlines()) == 1, ended.err
    assert not trained and not (tmp_path / "out").exists()


def test_another_suite_refuses_what_it_does_not_follow(invoke, tmp_path):
    ended = invoke("benchmark", "suite=step", "seeds=[1]", f"output={tmp_path / 'out'}")
    assert ended.code == 2 and "suite=step does not follow seeds" in ended.err


def test_a_file_that_is_no_result_is_not_overwritten(invoke, root, tmp_path, trained):
    (tmp_path / "benchmark.json").write_text("[]")
    ended = invoke("benchmark", *TINY, f"datasets_root={root}", f"output={tmp_path}")
    assert ended.code == 2 and "choose another output" in ended.err
    assert (tmp_path / "benchmark.json").read_text() == "[]"


def test_the_command_measures_the_same_again():
    assert command(Options()) == "python -m src.benchmark suite=claims"
    asked = Options(datasets=("elpv", "xsdd"), seeds=(0,), epochs=4, done=({},))
    assert command(asked) == "python -m src.benchmark suite=claims datasets=[elpv,xsdd] seeds=[0] epochs=4"
    assert "done" in SUITE.options


@pytest.mark.parametrize(("kept", "seconds"), [(0, 2.0), (1, 4.0), (-1, None)])
def test_the_time_to_full_is_to_the_epoch_that_it_kept(kept, seconds):
    curve = [{"seconds": 2.0, "val_balanced_accuracy": 0.6}, {"seconds": 4.0, "val_balanced_accuracy": 0.8}]
    found = claims._time_to({"curve": curve, "kept_epoch": kept}, {"curve": curve})
    assert found == {"seconds_to_full_score": seconds}  # of the head alone there is no epoch
