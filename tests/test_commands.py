"""The main job by its real commands: train, evaluate, export, predict, sweep, resume; and what bad input gets."""

import csv
import json
import pickle
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from src.backbones.pixels import normalise
from src.edge import Runtime, decode
from src.edge.preprocess import load, resize
from src.tasks import read_trained
from tests.conftest import ROOT, TINY, run_here

# All weights at so high a rate fall below the fitted head, which would ship alone, without the views.
METHODS = {"lora": (), "none": ("lora=none",), "full": ("lora=full", "task.warm_start=false")}
ONE_PLAIN = [pytest.param(name, marks=[pytest.mark.slow] * (name != "lora")) for name in METHODS]


def command(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)


def read(path):
    return json.loads(path.read_text())


def rows_of(run):
    with open(run / "predictions.csv", newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def runs(plates, tmp_path_factory):
    """Train once by each method, the first of them as a user would: in a process of its own."""
    root = tmp_path_factory.mktemp("exports")
    folders = {}
    for method, overrides in METHODS.items():
        folders[method] = root / f"{method}=run"
        words = (
            "data=folder", f"data.root={plates}", *TINY, "trainer.max_epochs=2", "optimizer.lr=0.01",
            "views=[identity,horizontal]", f"run_dir={folders[method]}", *overrides,
        )  # fmt: skip
        if method == "lora":
            ended = command("src.train", *words)
            assert ended.returncode == 0, ended.stderr
        else:
            assert run_here("train", *words) == 0
    return folders


@pytest.mark.slow
def test_a_head_that_is_kept_alone_ships_with_the_score_that_it_was_kept_for(plates, invoke, tmp_path, caplog):
    words = ("data=folder", f"data.root={plates}", *TINY, "trainer.max_epochs=2", "optimizer.lr=0.01", "lora=full")
    ended = invoke("train", *words, "views=[identity,horizontal]", f"run_dir={tmp_path / 'run'}")
    metrics, trained = read(tmp_path / "run" / "metrics.json"), read_trained(tmp_path / "run")
    assert ended.code == 0 and metrics["best_epoch"] == -1 and trained.task.views == ("identity",)
    assert "ships so, without the other views" in caplog.text
    with (tmp_path / "run" / "history.csv").open() as file:
        start = next(csv.DictReader(file))
    assert start["epoch"] == "-1"
    assert metrics["val"]["balanced_accuracy"] == pytest.approx(float(start["val_balanced_accuracy"]))


def test_a_run_folder_holds_all_that_is_promised(runs):
    held = {path.name for path in runs["lora"].iterdir()}
    assert held >= {
        "adapter.safetensors",
        "metrics.json",
        "predictions.csv",
        "report.html",
        "config.yaml",
        "checkpoints",
    }
    assert (runs["full"] / "weights.safetensors").exists() and not (runs["full"] / "adapter.safetensors").exists()
    latest = runs["lora"].parent / "latest"
    assert latest.is_symlink() and str(latest.readlink()) == "full=run"


@pytest.mark.parametrize("method", METHODS)
def test_metrics_and_predictions_keep_their_keys(runs, method):
    metrics = read(runs[method] / "metrics.json")
    for split in ("val", "test"):
        assert {"accuracy", "balanced_accuracy", "f1", "auroc", "average_precision"} <= set(metrics[split])
    assert 0 < metrics["trainable_parameters"] <= metrics["total_parameters"]
    file = runs[method] / ("weights.safetensors" if method == "full" else "adapter.safetensors")
    assert metrics["adapter_bytes"] == file.stat().st_size and metrics["train_seconds"] > 0
    rows = rows_of(runs[method])
    assert list(rows[0]) == ["path", "split", "target", "predicted", "p_defect", "p_good"]
    test = [row for row in rows if row["split"] == "test"]
    right = sum(row["target"] == row["predicted"] for row in test)
    assert metrics["test"]["accuracy"] == pytest.approx(right / len(test))
    assert (ROOT / rows[0]["path"]).is_file()


def test_the_head_alone_trains_less_and_full_trains_all(runs):
    trained = {method: read(runs[method] / "metrics.json")["trainable_parameters"] for method in METHODS}
    total = read(runs["full"] / "metrics.json")["total_parameters"]
    assert trained["none"] < trained["lora"] < trained["full"] == total


@pytest.mark.parametrize("method", ONE_PLAIN)
def test_evaluate_gives_the_very_figures_and_touches_nothing(runs, method, invoke):
    """In a process of its own where train had this one, and in this one where train had its own."""
    before = {path: path.read_bytes() for path in runs[method].iterdir() if path.is_file()}
    if method == "full":
        ended = command("src.evaluate", f"adapter={runs[method]}")
        assert ended.returncode == 0, ended.stderr
    else:
        ended = invoke("evaluate", f"adapter={runs[method]}")
        assert ended.code == 0, ended.err
    (folder,) = (runs[method] / "evaluations").iterdir()
    metrics, again = read(runs[method] / "metrics.json"), read(folder / "metrics.json")
    assert (again["val"], again["test"]) == (metrics["val"], metrics["test"])
    assert (folder / "predictions.csv").read_bytes() == before[runs[method] / "predictions.csv"]
    assert {path: path.read_bytes() for path in runs[method].iterdir() if path.is_file()} == before


@pytest.mark.parametrize("method", ONE_PLAIN)
def test_the_bundle_decides_as_the_training_did(runs, method, invoke):
    ended = invoke("export", f"adapter={runs[method]}")
    assert ended.code == 0, ended.err
    parity = read(runs[method] / "edge" / "parity.json")
    assert parity["passed"] and parity["changed_decisions"] == 0 and parity["split"] == "val"
    assert parity["max_abs_logit_diff"] <= 1e-4 * parity["logit_scale"]
    assert parity["also"]["test"]["passed"]
    manifest = read(runs[method] / "edge" / "manifest.json")
    assert manifest["task"]["views"] == ["identity", "horizontal"] and "trained_views" not in manifest["provenance"]
    assert "views:" not in ended.out
    rows = rows_of(runs[method])
    decisions = Runtime(runs[method]).predict([decode(row["path"]) for row in rows])
    assert [decision.label for decision in decisions] == [row["predicted"] for row in rows]
    assert [decision.probabilities["defect"] for decision in decisions] == pytest.approx(
        [float(row["p_defect"]) for row in rows], abs=1e-5
    )


@pytest.mark.parametrize("precision", ["fp32", pytest.param("int8", marks=pytest.mark.slow)])
def test_fewer_views_ship_with_figures_of_their_own(runs, invoke, tmp_path, precision):
    run = shutil.copytree(runs["full"], tmp_path / "run", ignore=shutil.ignore_patterns("edge*", "evaluations"))
    budget = ("max_accuracy_drop=0.9", "min_speedup=0", "max_accuracy_drop_bound=1")
    ended = invoke("export", f"adapter={run}", "views=[vertical]", f"precision={precision}", *budget)
    assert ended.code == 0, ended.err
    manifest, parity = read(run / "edge" / "manifest.json"), read(run / "edge" / "parity.json")
    assert manifest["task"]["views"] == ["vertical"]
    assert manifest["provenance"]["trained_views"] == ["identity", "horizontal"]

    trained = read_trained(run)
    model, rows = trained.build().eval(), rows_of(run)
    seen = torch.from_numpy(np.stack([load(row["path"], trained.image, resize) for row in rows]))
    with torch.inference_mode():
        logits = model(normalise(seen, trained.image).flip(2)).numpy()
    right = [trained.task.classes[best] == row["target"] for best, row in zip(logits.argmax(1), rows, strict=True)]
    for split, figures in (("val", parity), ("test", parity["also"]["test"])):
        of_split = [each for each, row in zip(right, rows, strict=True) if row["split"] == split]
        # On all images of the split: those that accept int8, half of val, have figures of their own.
        assert figures["stages"][0]["accuracy"] == pytest.approx(np.mean(of_split))
    runtime = Runtime(run)  # which tests itself on its golden outputs
    found = runtime.run([runtime.load(row["path"]) for row in rows])[0]
    assert np.abs(found - logits).max() <= parity["logit_scale"] * (1e-4 if precision == "fp32" else 0.3)

    ended = invoke("evaluate", f"adapter={run}", "views=[vertical]")
    (folder,) = (run / "evaluations").iterdir()
    metrics = read(folder / "metrics.json")
    assert ended.code == 0 and metrics["views"] == ["vertical"]
    assert metrics["val"]["accuracy"] == pytest.approx(parity["stages"][0]["accuracy"])
    before, after = (read(each / "metrics.json")["val"]["balanced_accuracy"] for each in (run, folder))
    said = rf"views: 2 -> 1 forward passes .* Balanced accuracy {100 * before:.1f} % -> {100 * after:.1f} %"
    assert re.search(said, ended.out)


@pytest.mark.parametrize(
    ("command", "views", "message"),
    [
        ("export", "[horisontal]", r"there is no view 'horisontal' \(did you mean horizontal\?\)"),
        ("export", "[été]", "there is no view 'été'"),
        ("evaluate", "[both,both]", "views names both twice"),
        ("evaluate", "identity", r"views=identity is no list of views: write 'views=\[identity\]'"),
    ],
)
def test_views_that_are_none_are_refused(runs, invoke, command, views, message):
    refused(invoke(command, f"adapter={runs['lora']}", f"views={views}"), message)


def test_lines_that_share_a_base_decide_as_their_trainings_did(runs, invoke, tmp_path):
    lines = {name: runs[name] for name in ("lora", "none")}
    adapters = ",".join(f"{name}:'{run}'" for name, run in lines.items())
    shared = tmp_path / "shared"
    ended = invoke("export", f"adapters={{{adapters}}}", "shared_base=true", f"output={shared}")
    assert ended.code == 0, ended.err
    assert all(f"{name}: gate passed" in ended.out and "of the merged file's time" in ended.out for name in lines)
    for name, run in lines.items():
        row = rows_of(run)[0]
        ended = invoke("predict", f"model={shared}", f"adapter={name}", f"input={row['path']}")
        line = json.loads(ended.out)
        assert line["label"] == row["predicted"]
        assert line["probabilities"]["defect"] == pytest.approx(float(row["p_defect"]), abs=1e-5)
    refused(invoke("predict", f"model={shared}", f"input={row['path']}"), "lora, none: choose one with adapter=NAME")
    refused(invoke("predict", f"model={shared}", "adapter=x", f"input={row['path']}"), "no line 'x'")


@pytest.mark.slow
def test_lines_that_share_a_base_ship_the_views_that_are_chosen_for_all(runs, invoke, tmp_path):
    adapters = ",".join(f"{name}:'{runs[name]}'" for name in ("lora", "none"))
    words = (f"adapters={{{adapters}}}", "shared_base=true", "views=[vertical]", f"output={tmp_path / 'shared'}")
    ended = invoke("export", *words)
    assert ended.code == 0, ended.err
    for name, line in read(tmp_path / "shared" / "manifest.json")["lines"].items():
        assert f"{name}: views: 2 -> 1 forward passes" in ended.out
        assert line["task"]["views"] == ["vertical"] and len(line["provenance"]["trained_views"]) == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["adapters=[a,b]"], "add shared_base=true"),
        (["output=there"], "add shared_base=true"),
        (["shared_base=true"], r"shared_base=true takes adapters=\[RUN,RUN\]"),
        (["shared_base=true", "adapters=a"], r"shared_base=true takes adapters=\[RUN,RUN\]"),
        (["shared_base=true", "adapters=[a,b]", "adapter=a"], "no adapter="),
        (["shared_base=true", "adapters=[a,b]", "precision=int8"], "not int8: export the lines one by one"),
        (["adapter=conf", "sign=nowhere.pem"], r"nowhere\.pem cannot be read"),
        (["adapter=conf", "openvino=true", "profile=u8-resize"], "antialiasing of profile=u8-resize"),
        (["adapter=conf", "openvino=1"], "openvino must be true or false"),
        (["shared_base=true", "adapters=[a,b]", "openvino=true"], "leave out openvino=true"),
        (["adapter=null"], "names no file"),
        (["adapter=conf", "precision=int4"], "use precision=fp32, fp16, int8"),
        (["adapter=conf", "profile=u9"], "unknown profile"),
        (["shared_base=maybe"], "shared_base must be true or false"),
        (["shared_base=true", "adapters=[a,b]"], "there is no a"),
    ],
)
def test_export_refuses_what_it_would_not_heed(invoke, overrides, message):
    refused(invoke("export", *overrides), message)


def test_predict_takes_the_run_and_a_folder(runs, plates, invoke):
    invoke("export", f"adapter={runs['lora']}")
    ended = command("src.predict", f"model={runs['lora']}", f"input={plates / 'good'}")
    assert ended.returncode == 0 and "20 decided, 0 broken" in ended.stderr
    assert {tuple(json.loads(line)) for line in ended.stdout.splitlines()} == {
        ("path", "label", "score", "probabilities", "ms")
    }


def test_a_bundle_that_is_not_as_it_was_exported_is_refused(runs, plates, tmp_path, invoke):
    invoke("export", f"adapter={runs['lora']}")
    for number, name in enumerate(
        ("model.onnx", "manifest.json", "golden.npz", "parity.json", "README.md", "more.txt")
    ):
        bundle = tmp_path / str(number)
        shutil.copytree(runs["lora"] / "edge", bundle)
        held = (bundle / name).read_bytes() if (bundle / name).exists() else b""
        (bundle / name).write_bytes(held.replace(b"good", b"nice") if name == "manifest.json" else held + b"\n")
        refused(invoke("predict", f"model={bundle}", f"input={plates / 'good'}"), name)


def test_no_command_makes_hydras_outputs_folder(runs):
    assert not (ROOT / "outputs").exists() and not (ROOT / "multirun").exists()


def test_a_finished_run_is_kept_and_can_be_resumed(runs, plates, tmp_path, invoke):
    run = tmp_path / "run"
    shutil.copytree(runs["lora"], run)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    common = ("data=folder", f"data.root={plates}", *TINY, "trainer.max_epochs=1")
    refused(invoke("train", *common, f"run_dir={run}"), "holds a run already: choose another run_dir")
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    refused(
        invoke("train", f"resume={run}"),
        r"nothing to resume: .* is finished \(2 epochs\); .*max_epochs=NUMBER, above 2",
    )
    refused(invoke("train", f"resume={run}", "trainer.max_epochs=1"), "nothing to resume")
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    (run / "metrics.json").unlink()  # a kill may come after the last epoch
    assert invoke("train", f"resume={run}").code == 0
    again = load_file(run / "adapter.safetensors")
    assert all(
        torch.equal(value, again[name]) for name, value in load_file(runs["lora"] / "adapter.safetensors").items()
    )
    assert len((run / "history.csv").read_text().splitlines()) == 2 + 2
    noted, config = read(run / "data.json"), (run / "config.yaml").read_bytes()
    (run / "data.json").write_text(json.dumps({**noted, "membership": "of another cut"}))
    refused(
        invoke("train", f"resume={run}", "trainer.max_epochs=9"), "cut into other splits than those that .* began with"
    )
    assert (run / "config.yaml").read_bytes() == config


def test_a_sweep_ends_with_a_table_and_survives_a_failed_run(plates, tmp_path, invoke):
    ended = invoke(
        "train", "-m", "data=folder", f"data.root={plates}", *TINY, "trainer.max_epochs=1",
        "lora.targets=dense,nonsense", f"hydra.sweep.dir={tmp_path}",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    with open(tmp_path / "runs.csv", newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["lora.targets"] for row in rows] == ["dense", "nonsense"]
    assert "matches no layer" in rows[1]["error"] and not rows[0]["error"]
    assert (tmp_path / "0" / "adapter.safetensors").exists() and "dense" in ended.out


def test_a_sweep_of_which_every_run_failed_has_its_table_and_ends_with_1(plates, tmp_path, invoke):
    ended = invoke(
        "train", "-m", "data=folder", f"data.root={plates}", *TINY, "lora.rank=0,-1", f"hydra.sweep.dir={tmp_path}",
    )  # fmt: skip
    assert ended.code == 1 and "Traceback" not in ended.err, ended.err
    with open(tmp_path / "runs.csv", newline="") as text:
        assert all("lora.rank must be" in row["error"] for row in csv.DictReader(text))


def refused(ended, message, code=2):
    assert ended.code == code, ended.err
    assert re.search(message, ended.err), ended.err
    assert "Traceback" not in ended.err and ended.err.strip().splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("+experiment=nope",), r"there is no experiment=nope \(choose from crops, defects\)"),
        (("experiment=defects",), r"write \+experiment=defects"),
        (("lora=dorra",), r"there is no lora=dorra: did you mean dora\?"),
        (("trainer.max_epochs=many",), r"trainer\.max_epochs=many is no number of epochs: give 1 or more, or auto"),
        (
            ("data.root=PLATES", "data.augment.symmetry=vertical"),
            r"no symmetry 'vertical': choose one of auto, all, horizontal, none",
        ),
        (("trainer.max_epochs=0",), r"trainer\.max_epochs=0 is no number of epochs"),
        (("trainer.max_epochs=[3]",), r"trainer\.max_epochs=\[3\] is no number of epochs"),
        (("trainer.max_epochs=-1",), r"trainer\.max_epochs=-1 has no end"),
        (("trainer.strategy=ddp",), r"there is no trainer\.strategy"),
        (("+trainer.strategy=ddp",), r"there is no trainer\.strategy \(trainer takes accelerator,"),
        (("data.root=PLATES", "trainer.devices=2"), r"trainer\.devices=2 are several, and a training runs on one"),
        (("data.root=PLATES", "+trainer.limit_val_batches=0"), r"trainer\.limit_val_batches=0 leaves no batch"),
        (("data.root=PLATES", *TINY, "optimizer.lr=-1"), "Invalid learning rate: -1"),
        (("optimizer.lr=1e39",), r"optimizer\.lr=1e\+39 is out of range"),
        (("+optimizer.momentum=0.9",), r"there is no optimizer\.momentum"),
        (("lora.ranks={blocks.0.*:4}",), r"lora\.ranks takes new entries with a plus: write \+lora\.ranks="),
        (("seed=x",), "error: seed=x is not a whole number"),
        (("data.num_workers=null",), r"data\.num_workers=null is not a whole number"),
        (("data.root=PLATES", "name=.."), r"name=\.\. is no folder in exports"),
        (("data.root=PLATES", *TINY, "optimizer._target_=torch.optim.Nope"), r"torch\.optim\.Nope"),
        (("task.imbalance.focal=much",), r"task\.imbalance\.focal=much is not a number"),
        (("data.root=PLATES", "task=ordinal"), "nothing says the order of defect, good"),
        (("data.root=PLATES", "name=../evil"), "name=../evil is no folder in exports"),
        (("backbone.nam=x",), r"there is no backbone\.nam in .*: did you mean backbone\.name\?"),
        (("data=table", "data.tabel=x"), r"did you mean data\.table\?"),
        (("data=nothing", "data.rot=x"), r"there is no data\.rot in .*: did you mean data\.root\?"),
        (("data=nothing",), "there is no data=nothing .*choose from"),
        (("+trainer.max_epoch=1",), r"there is no trainer\.max_epoch \(did you mean max_epochs\?\)"),
        (("+experiment=defects", "backbone.name=resnet19"), "near names: resnet18"),
        (("data.root=/nowhere",), "does not exist"),
        (("data.root=EMPTY",), "is empty"),
        (("data.root=ONE",), "one class only"),
        (("data.root=PLATES", *TINY, "backbone.weights=/nowhere.pth"), "there is no file /nowhere.pth"),
        (("data.root=PLATES", *TINY, "lora.targets=[blocks.nope]"), "matches no layer"),
        (("data.root=PLATES", *TINY, "lora.rank=0"), r"lora\.rank must be"),
        (("data.root=PLATES", *TINY, "lora.rank=eight"), r"lora\.rank=eight is not a whole number"),
        (("data.root=PLATES", *TINY, "trainer.precision=int4"), "precision=int4 is unknown"),
        (("data.root=PLATES", *TINY, "data.on_error=maybe"), "on_error"),
        (("data.root=PLATES", *TINY, "views=null"), "views=null is no list of views"),
        (("resume=/nowhere",), "no config.yaml"),
    ],
)
def test_train_refuses_in_one_line(invoke, plates, tmp_path, overrides, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "one" / "only").mkdir(parents=True)
    (tmp_path / "one" / "only" / "a.png").write_bytes((plates / "good" / "00.png").read_bytes())
    places = {"PLATES": plates, "EMPTY": tmp_path / "empty", "ONE": tmp_path / "one"}
    filled = [re.sub("PLATES|EMPTY|ONE", lambda match: str(places[match[0]]), override) for override in overrides]
    refused(invoke("train", *filled, f"run_dir={tmp_path / 'run'}"), message)
    assert not (tmp_path / "run").exists() and not (tmp_path / "latest").exists()


def test_crops_without_images_says_in_three_lines_where_they_can_come_from(invoke):
    for overrides in ((), ("+experiment=crops",)):
        ended = invoke("train", *overrides)
        assert ended.code == 2 and len(ended.err.splitlines()) == 3, ended.err
        for way in ("data.root=DIR", "data=table data.table=FILE", "data=huggingface data.path=USER/NAME"):
            assert way in ended.err
        assert "data=seedlings" in ended.err


def test_crops_trains_on_the_synthetic_seedlings(invoke, tmp_path):
    run = tmp_path / "run"
    source = ("data=seedlings", f"data.root={tmp_path / 'a=b'}", "data.count=8", "data.limit=28")
    ended = invoke("train", "+experiment=crops", *source, *TINY, "trainer.max_epochs=1", f"run_dir={run}")
    assert ended.code == 0, ended.err
    assert "seedlings (synthetic)" in (run / "report.html").read_text()
    with open(run / "predictions.csv", newline="") as text:
        assert {row["target"] for row in csv.DictReader(text)} == {"grass", "lanceolate", "lobed", "rosette"}
    refused(
        invoke("evaluate", f"adapter={run}", "data=table", f"data.table={tmp_path / 'é=.csv'}"), "é=.csv does not exist"
    )


def test_weights_out_of_reach_name_the_three_ways(invoke, plates, tmp_path, monkeypatch):
    monkeypatch.setattr("src.backbones.weights._hub_resolves", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    overrides = (f"data.root={plates}", "backbone.name=resnet18.a1_in1k", "data.cache_dir=null")
    ended = invoke("train", *overrides, f"run_dir={tmp_path / 'run'}")
    refused(ended, "Three ways: 1.*2.*3")


def test_a_broken_image_is_left_out_of_training_and_stops_evaluation(invoke, plates, tmp_path):
    for split, count in (("train", 9), ("test", 4)):
        for label in ("good", "defect"):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(count):
                source = plates / label / f"{number + 10 * (split == 'test'):02d}.png"
                (tmp_path / split / label / source.name).write_bytes(source.read_bytes())
    (tmp_path / "train" / "good" / "broken.jpg").write_text("no picture")
    common = (f"data.root={tmp_path}", *TINY, "trainer.max_epochs=1")
    ended = invoke("train", *common, f"run_dir={tmp_path / 'run'}")
    assert ended.code == 0, ended.err
    assert "broken.jpg" in (tmp_path / "run" / "report.html").read_text()
    (tmp_path / "test" / "good" / "cut.png").write_bytes((plates / "good" / "00.png").read_bytes()[:200])
    refused(invoke("train", *common, f"run_dir={tmp_path / 'again'}"), r"1 of test: .*cut\.png.*data\.on_error=skip")
    refused(invoke("evaluate", f"adapter={tmp_path / 'run'}"), r"cut\.png")
    assert invoke("train", *common, "data.on_error=skip", f"run_dir={tmp_path / 'again'}").code == 0


def test_files_that_are_no_adapter_are_refused(invoke, tmp_path):
    (tmp_path / "text.safetensors").write_text("no adapter")
    (tmp_path / "pickled.safetensors").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "empty").mkdir()
    for name in ("evaluate", "export"):
        refused(invoke(name, f"adapter={tmp_path / 'text.safetensors'}"), "no safetensors file")
        refused(invoke(name, f"adapter={tmp_path / 'pickled.safetensors'}"), "never loaded")
        refused(invoke(name, f"adapter={tmp_path / 'empty'}"), "holds no adapter.safetensors")
        refused(invoke(name, f"adapter={tmp_path / 'nowhere'}"), "there is no")


def test_an_adapter_meets_another_base_or_other_classes(invoke, runs, plates, tmp_path):
    source = (runs["lora"] / "adapter.safetensors").read_bytes()
    other = tmp_path / "adapter.safetensors"
    other.write_bytes(source.replace(b'\\"seed\\": 0', b'\\"seed\\": 1'))
    assert other.read_bytes() != source
    refused(invoke("evaluate", f"adapter={other}"), "another base")
    for label in ("good", "crack"):
        (tmp_path / "images" / label).mkdir(parents=True)
        (tmp_path / "images" / label / "a.png").write_bytes((plates / "good" / "00.png").read_bytes())
    images = ("data=folder", f"data.root={tmp_path / 'images'}", "data.cache_dir=null")
    ended = invoke("evaluate", f"adapter={runs['lora']}", *images)
    refused(ended, "has the class 'crack', and .* was trained on defect, good")


def test_an_adapter_that_asks_to_run_code_is_refused(invoke, runs, tmp_path):
    source = (runs["lora"] / "adapter.safetensors").read_bytes()
    evil = tmp_path / "adapter.safetensors"
    evil.write_bytes(source.replace(b"graft.data.FolderData", b"os.path.expanduserses"))
    assert evil.read_bytes() != source
    refused(invoke("evaluate", f"adapter={evil}"), "no data source of Graft")


@pytest.mark.parametrize("precision", [pytest.param("fp16", marks=pytest.mark.slow), "int8"])
def test_other_precisions_pass_the_gate_or_leave_the_earlier_bundle(invoke, runs, precision):
    invoke("export", f"adapter={runs['lora']}")
    before = (runs["lora"] / "edge" / "model.onnx").read_bytes()
    budget = ("min_speedup=1e9", "max_accuracy_drop_bound=1")
    ended = invoke("export", f"adapter={runs['lora']}", f"precision={precision}", *budget)
    refusal = runs["lora"] / f"edge-refused-{precision}" / "parity.json"
    if precision == "int8":
        assert ended.code == 1 and "1e+09 times wanted" in ended.err and not read(refusal)["passed"]
    assert (ended.code == 0) != ((runs["lora"] / "edge" / "model.onnx").read_bytes() == before)
    assert (ended.code == 1) == refusal.exists()


def test_a_signed_bundle_is_not_replaced_by_an_unsigned_one(invoke, runs, tmp_path):
    run = shutil.copytree(runs["lora"], tmp_path / "run")
    (run / "edge").mkdir(exist_ok=True)
    (run / "edge" / "manifest.sig").write_bytes(b"signature")
    refused(invoke("export", f"adapter={run}"), "is signed: sign the new one too, by sign=KEY")
    assert (run / "edge" / "manifest.sig").read_bytes() == b"signature"


def test_export_refuses_gone_images_and_unknown_precisions(invoke, runs, plates):
    refused(invoke("export", f"adapter={runs['lora']}", "precision=fp8"), "use precision=fp32, fp16, int8")
    refused(invoke("export", f"adapter={runs['lora']}", "max_accuracy_drop=5"), "from 0 to 1, such as 0.005")
    hidden = plates.with_name("hidden")
    plates.rename(hidden)
    try:
        refused(invoke("export", f"adapter={runs['lora']}"), "does not exist")
    finally:
        hidden.rename(plates)
