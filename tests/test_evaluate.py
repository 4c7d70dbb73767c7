"""Which pixels a finished model is judged on; the command itself is in test_commands."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir

from src.backbones import image_spec
from src.evaluate import other_data, own_data
from src.spec import TaskSpec
from src.tasks import note_data, used_data

CONF = Path(__file__).parents[1] / "conf"


def test_other_images_are_cut_as_the_model_was_trained(plates):
    image = replace(image_spec("test_efficientnet"), size=(48, 48), crop_mode="center", crop_pct=0.8, bit_depth=12)
    task = TaskSpec("classification", ("defect", "good"))
    trained = SimpleNamespace(image=image, task=task, provenance={}, path="adapter.safetensors")
    choices = ["data=folder", f"data.root={plates}", "data.cache_dir=null", "data.bit_depth=14"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = compose("evaluate", overrides=["adapter=x", *choices]).data
    data = other_data(trained, settings)
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
    data = other_data(trained, settings)
    assert data.classes == ("good", "rust", "defect") and "no data.json beside adapter" in caplog.text
    assert {int(target) for _, target, _ in data.loader("test").dataset} == {0, 2}
    for wrong in (TaskSpec("classification", ("good", "rust")), TaskSpec("multilabel", ("defect", "good"))):
        with pytest.raises(ValueError, match=r"rename it or leave its images out|learnt any number of labels an image"):
            other_data(SimpleNamespace(image=image, task=wrong, provenance={}, path="adapter"), settings)
