"""Which images and pixels a finished model is judged on; that evaluate gives the very figures is in test_commands."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from src.backbones import image_spec
from src.evaluation import own_data
from src.lot import other_data
from src.spec import TaskSpec
from src.tasks import note_data, used_data
from tests.conftest import TINY, draw, run_here

CONF = Path(__file__).parents[1] / "conf"


def test_other_images_are_cut_as_the_model_was_trained(plates):
    image = replace(image_spec("test_efficientnet"), size=(48, 48), crop_mode="center", crop_pct=0.8, bit_depth=12)
    task = TaskSpec("classification", ("defect", "good"))
    trained = SimpleNamespace(image=image, task=task, provenance={}, path="adapter.safetensors")
    choices = ["data=folder", f"data.root={plates}", "data.cache_dir=null", "data.bit_depth=14"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = compose("evaluate", overrides=["adapter=x", *choices]).data
    data, _ = other_data(trained, settings)
    assert data.image == image and len(data.samples("test")) == 40


def own(root, provenance):
    """A trained file that names this folder as its data."""
    settings = {"_target_": "src.data.FolderData", "_partial_": True, "root": str(root), "image_size": 32}
    told = {"config": {"data": settings}, "data": provenance}
    return SimpleNamespace(image=image_spec("test_efficientnet"), provenance=told, path="adapter.safetensors")


def test_images_that_were_trained_on_are_never_judged_unawares(plates, tmp_path, caplog):
    root = Path(shutil.copytree(plates, tmp_path / "plates"))
    data = own_data(own(root, {}))
    assert "did not note its splits" in caplog.text
    then = {"fingerprint": data.fingerprint, "membership": data.membership}
    assert own_data(own(root, then), judging=True).membership == data.membership
    with pytest.raises(ValueError, match="cut into other splits than in the training"):
        own_data(own(root, {**then, "membership": "0"}))
    shutil.copy(root / "good" / "00.png", root / "good" / "copy.png")
    with pytest.raises(ValueError, match="one that was trained on may be in val or test now"):
        own_data(own(root, then), judging=True)
    assert own_data(own(root, then)).fingerprint != then["fingerprint"]  # the gate compares, it does not judge


def test_images_that_were_trained_on_are_no_other_images(plates, tmp_path):
    root = Path(shutil.copytree(plates, tmp_path / "plates"))
    data = own_data(own(root, {}))
    note_data(tmp_path, data)
    (root / "good" / "00.png").unlink()
    trained = own(root, used_data(data))
    trained.path, trained.task = tmp_path / "adapter.safetensors", TaskSpec("classification", ("defect", "good"))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = compose("evaluate", ["adapter=x", "data=folder", f"data.root={root}", "data.cache_dir=null"]).data
    with pytest.raises(ValueError, match="images to judge were trained on"):
        other_data(trained, settings)


def test_a_lot_that_lacks_a_class_is_judged_in_the_order_of_the_training(plates, caplog):
    image = image_spec("test_efficientnet")
    trained = SimpleNamespace(
        image=image, task=TaskSpec("classification", ("good", "rust", "defect")), provenance={}, path="adapter"
    )
    with initialize_config_dir(str(CONF), version_base="1.3"):
        choices = ["adapter=x", "data=folder", f"data.root={plates}", "data.cache_dir=null"]
        settings = compose("evaluate", overrides=choices).data
    data, _ = other_data(trained, settings)
    assert data.classes == ("good", "rust", "defect") and "no data.json beside adapter" in caplog.text
    assert {int(target) for _, target, _ in data.loader("test").dataset} == {0, 2}
    for wrong in (TaskSpec("classification", ("good", "rust")), TaskSpec("multilabel", ("defect", "good"))):
        with pytest.raises(ValueError, match=r"rename it or leave its images out|learnt any number of labels an image"):
            other_data(SimpleNamespace(image=image, task=wrong, provenance={}, path="adapter"), settings)


@pytest.fixture(scope="module")
def moved(plates, tmp_path_factory):
    """A run whose images were moved after the training, and where they lie now."""
    place = tmp_path_factory.mktemp("moved")
    root = Path(shutil.copytree(plates, place / "then"))
    words = ("data=folder", f"data.root={root}", *TINY, "trainer.max_epochs=1", f"run_dir={place / 'run'}")
    assert run_here("train", *words) == 0
    return place / "run", root.rename(place / "là =now")


def test_data_that_were_moved_are_found_by_every_command_and_give_the_very_figures(moved, invoke):
    run, now = moved
    ended = invoke("evaluate", f"adapter={run}")
    assert ended.code == 2 and "then does not exist: set data.root=DIR" in ended.err, ended.err
    assert invoke("evaluate", f"adapter={run}", f"data.root={now}").code == 0
    (folder,) = (run / "evaluations").iterdir()
    figures, again = (json.loads((each / "metrics.json").read_text()) for each in (run, folder))
    assert (again["val"], again["test"]) == (figures["val"], figures["test"])
    ended = invoke("export", f"adapter={run}", f"data.root={now}")
    assert ended.code == 0 and "gate passed" in ended.out, ended.err
    copied = shutil.copytree(run, run.with_name("copied"))
    assert invoke("train", f"resume={copied}", f"data.root={now}", "trainer.max_epochs=2").code == 0
    assert OmegaConf.load(copied / "config.yaml").data.root == str(now)
    assert invoke("evaluate", f"adapter={copied}").code == 0


@pytest.mark.parametrize("command", ["evaluate", "export", "train"])
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.root=OTHER", r"OTHER.*(\(\d+ of the \d+ training images are there\)|are not those that)"),
        ("data.root=/nowhere", "/nowhere does not exist: set data.root=DIR"),
        ("data.table=x.csv", "data.table is not to be given for the run's own data"),
        ("data.image_size=32", "data.image_size stays as it was in the training"),
        ("+data.image_size=32", "data.image_size is not to be given for the run's own data"),
        ("backbone.weights=/nowhere.pth", "there is no file /nowhere.pth"),
    ],
)
def test_what_is_not_the_data_of_the_training_is_refused_by_name(moved, invoke, tmp_path, command, override, message):
    run, now = moved
    other = shutil.copytree(now, tmp_path / "OTHER")
    (other / "good" / "00.png").rename(other / "good" / "renamed.png")
    words = [override.replace("OTHER", str(other))]
    words += [f"data.root={now}"] * ("backbone" in override)
    words += [f"resume={run}", "trainer.max_epochs=3"] if command == "train" else [f"adapter={run}"]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    ended = invoke(command, *words)
    assert ended.code == 2 and re.search(message, ended.err) and "Traceback" not in ended.err, ended.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("lot", "lacks"),
    [
        (("good/a",), {"auroc": "every image is good", "f1": "no image is defect"}),
        (("test/good/a", "test/good/b", "train/rust/a"), {"average_precision": "every image is good"}),
        (("train/good/a", "test/good/a", "test/defect/a"), {}),  # its own train lacks what the model knows
        (("test/defect/a", "test/defect/b", "val/good/a"), {"auroc": "every image is defect"}),
    ],
)
def test_a_lot_that_no_training_could_learn_is_judged(moved, invoke, tmp_path, caplog, lot, lacks):
    for number, name in enumerate(lot):
        path = tmp_path / "lot" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(500 + number, "defect" in name).save(path)
    (tmp_path / "lot" / Path(lot[0]).parent.with_name("defect")).mkdir(exist_ok=True)  # an empty one is no fault
    caplog.set_level("INFO")
    run = shutil.copytree(moved[0], tmp_path / "run", ignore=shutil.ignore_patterns("evaluations"))
    ended = invoke("evaluate", f"adapter={run}", "data=folder", f"data.root={tmp_path / 'lot'}", "data.cache_dir=null")
    assert ended.code == 0, ended.err
    assert "judged by defect as the defect" in caplog.text and "set data.positive" not in caplog.text
    (folder,) = (run / "evaluations").iterdir()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] is not None
    told = metrics.get("undefined", {}).get("test", {})
    assert all(reason in told[name] and reason in ended.out for name, reason in lacks.items())
    assert set(told) == {name for name, value in metrics["test"].items() if value is None}


@pytest.mark.parametrize(
    "key", ["image_size=128", "positive=good", "classes=[good,defect]", "+val_fraction=0.3", "seed=1"]
)
def test_what_changes_nothing_when_images_are_judged_is_refused(moved, invoke, key):
    plus, name = ("+", key[1:]) if key[0] == "+" else ("", key)
    ended = invoke("evaluate", f"adapter={moved[0]}", "data=folder", f"data.root={moved[1]}", f"{plus}data.{name}")
    assert ended.code == 2 and f"data.{name.partition('=')[0]} does not act here" in ended.err, ended.err
