"""The options of every source: stated once, found by the check of the config, chosen by every YAML."""

from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.data import ElpvData, FolderData, HuggingFaceData, SeedlingsData, TableData
from src.data.options import DataOptions
from src.typed import find_unknown, require_types

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
