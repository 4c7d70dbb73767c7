"""The options of every source: stated once, found by the check of the config, chosen by every YAML."""

from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.data import ElpvData, FolderData, HuggingFaceData, SeedlingsData, TableData
from src.data.options import DataOptions, input_size
from src.typed import find_unknown, require_types
from tests.conftest import draw

CONF = Path(__file__).parents[2] / "conf/data"
CHOSEN = {"batch_size", "crop_pct", "cache_dir", "seed"}  # other than the defaults
SOURCES = (ElpvData, FolderData, HuggingFaceData, SeedlingsData, TableData)


def test_what_the_configs_do_not_choose_is_the_default():
    defaults = {field.name: field.default for field in fields(DataOptions) if field.default is not MISSING}
    stated = OmegaConf.to_container(OmegaConf.load(CONF / "_loading.yaml"))
    stated = {name: tuple(value) if isinstance(value, list) else value for name, value in stated.items()}
    del stated["_partial_"]
    assert set(stated) <= set(defaults)
    assert {name for name, value in stated.items() if value != defaults[name]} == CHOSEN


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_takes_them_all_and_nothing_else(source):
    names = [field.name for field in fields(DataOptions)]
    node = {"_target_": f"src.data.{source.__name__}", **dict.fromkeys(names), "bath_size": 3}
    ((key, known),) = find_unknown(OmegaConf.create({"data": node}))
    assert key == "data.bath_size" and set(known) >= set(names) and "options" not in known


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("name", "value"), [("batch_size", "many"), ("balanced", 1), ("val_fraction", True)])
def test_their_types_are_checked_through_every_source(source, name, value):
    node = {"_target_": f"src.data.{source.__name__}", name: value}
    with pytest.raises(ValueError, match=f"data.{name}={value} is not"):
        require_types(OmegaConf.create({"data": node}))


def test_an_unknown_option_is_refused_where_no_config_was_checked(tmp_path, image):
    with pytest.raises(TypeError, match="bath_size"):
        FolderData(tmp_path, image=image, bath_size=3)


@pytest.mark.parametrize(("asked", "size"), [(64, (64, 64)), ([64, 96], (64, 96)), ((5, 3), (5, 3))])
def test_a_number_is_both_sides_and_two_are_height_and_width(asked, size):
    assert input_size(asked) == size == input_size(OmegaConf.create({"size": asked}).size)


@pytest.mark.parametrize("asked", [0, -1, 6.5, True, "x", [], [64], [64, 0], [64, "x"], [64, True], [1, 2, 3], None])
def test_what_is_no_size_is_refused(asked):
    with pytest.raises(ValueError, match=r"must be a number of pixels such as 224, or \[height,width\]"):
        input_size(asked)


def test_more_than_a_picture_may_have_is_refused():
    with pytest.raises(ValueError, match="more than the 100,000,000 pixels"):
        input_size([10_001, 10_000])


@pytest.mark.parametrize("cached", [True, False])
def test_images_are_loaded_and_cached_in_height_and_width(image, tmp_path, cached):
    for split, first in (("train", 0), ("val", 10), ("test", 20)):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(3):
                draw(first + number + 1000 * (label == "a"), label == "b").save(
                    tmp_path / split / label / f"{number}.png"
                )
    cache = str(tmp_path / "cache") if cached else None
    for _ in range(2):
        data = FolderData(tmp_path, image=image, image_size=[6, 10], cache_dir=cache, batch_size=2)
        data.setup()
        for loader in (data.train_dataloader(), data.loader("test")):
            assert next(iter(loader))[0].shape == (2, 3, 6, 10)
    assert data.collection().side == 6
