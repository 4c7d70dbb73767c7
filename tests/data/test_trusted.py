from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from src.data.trusted import AUGMENTS, SOURCES, require_trusted

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    "settings",
    [
        {"_target_": "os.system"},
        {"_target_": "src.atomic.write_text", "path": "x", "text": "y"},
        {"_target_": "src.data.FolderData", "augment": {"_target_": "src.data.transforms.torch.hub.load"}},
        {"_target_": "src.data.Listing"},
        {"_target_": "src.data.ImageData"},
        {"_target_": "src.data.transforms.none"},
        {"_target_": ["os.system"]},
        {"root": "parts"},
        {"_target_": "src.data.FolderData", "augment": {"_target_": "src.data.TableData", "table": "x.csv"}},
        {"_target_": "src.data.FolderData", "augment": {"_target_": "src.data.transforms.Turn", "degrees": 1}},
        {"_target_": "src.data.FolderData", "augment": {"_target_": "src.data.transforms.none", "_args_": [1]}},
        {"_target_": "src.data.FolderData", "_convert_": "object"},
        {"_target_": "src.data.FolderData", "_recursive_": False},
        {"_target_": "src.data.TableData", "columns": {"${oc.env:HOME}": "x"}},
        {"_target_": "${oc.env:X}"},
        {"_target_": "src.data.FolderData", "root": "${oc.create:{_target_: os.system}}"},
        {"_target_": "src.data.FolderData", "columns": [{"_target_": "builtins.exec"}]},
    ],
)
def test_a_file_names_our_sources_and_augmentations_only(settings):
    with pytest.raises(ValueError, match="do not trust it"):
        require_trusted(settings)


@pytest.mark.parametrize("name", ["src", "graft"])
def test_our_sources_are_trusted_under_either_name(name):
    augment = {"_target_": f"{name}.data.transforms.defects", "symmetry": "all"}
    require_trusted({"_target_": f"{name}.data.FolderData", "root": "x", "augment": augment})


def test_every_source_that_ships_is_trusted():
    assert {f"graft.data.{name}" for name in ("ElpvData", "FolderData", "HuggingFaceData", "TableData")} < SOURCES
    assert {f"graft.data.transforms.{name}" for name in ("none", "defects", "crops")} == AUGMENTS
    for path in (CONF / "data").glob("[!_]*.yaml"):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            composed = compose("train", overrides=[f"data={path.stem}"])
        require_trusted(OmegaConf.to_container(composed, resolve=True)["data"])
