"""Which pixels a finished model is judged on; the command itself is in test_commands."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from hydra import compose, initialize_config_dir

from src.backbones import image_spec
from src.evaluate import other_data

CONF = Path(__file__).parents[1] / "conf"


def test_other_images_are_cut_as_the_model_was_trained(plates):
    image = replace(image_spec("test_efficientnet"), size=(48, 48), crop_mode="center", crop_pct=0.8, bit_depth=12)
    task = SimpleNamespace(classes=("defect", "good"))
    trained = SimpleNamespace(image=image, task=task, provenance={}, path="adapter.safetensors")
    choices = ["data=folder", f"data.root={plates}", "data.cache_dir=null", "data.bit_depth=14"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = compose("evaluate", overrides=["adapter=x", *choices]).data
    data = other_data(trained, settings)
    assert data.image == image and len(data.samples("test")) == 40
