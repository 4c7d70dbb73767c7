"""Every YAML composes, and names what exists."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, get_method
from omegaconf import DictConfig, OmegaConf

from src.backbones import create_backbone, image_spec
from src.targets import local_target

CONF = Path(__file__).parents[1] / "conf"
GROUPS = {
    f"{folder.name}={path.stem}"
    for folder in CONF.iterdir()
    if folder.is_dir() and folder.name != "experiment"
    for path in folder.glob("*.yaml")
    if not path.stem.startswith("_")  # what others of the group share
}
NAMES = (
    "backbone.name backbone.weights lora.rank lora.alpha lora.targets data.split_seed data.batch_size data.num_workers "
    "data.image_size data.limit trainer.max_epochs trainer.precision trainer.accelerator seed"
).split()


def composed(*overrides, config="train"):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(config, overrides=list(overrides))


def targets(node):
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield node._target_
        for value in node.values():
            yield from targets(value)


def exists(target):
    target = local_target(target)
    try:
        return get_class(target)
    except ValueError:
        return get_method(target)


@pytest.mark.parametrize("override", sorted(GROUPS))
def test_every_choice_composes_and_names_what_exists(override):
    config = composed(override)
    found = list(targets(config))
    assert found and all(exists(target) for target in found)


@pytest.mark.parametrize("path", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_keeps_the_names_that_people_override(path):
    config = composed(f"+experiment={path.stem}")
    assert config.name == path.stem
    for name in NAMES:
        assert OmegaConf.select(config, name, default="missing") != "missing", name


@pytest.mark.parametrize("path", sorted((CONF / "backbone").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_backbone_is_a_timm_model_with_a_licence(path):
    backbone = composed(f"backbone={path.stem}").backbone
    assert backbone.licence and backbone.weights == "auto"
    model, spec = create_backbone(backbone.name, "none", 3)
    assert spec == image_spec(backbone.name) and model.num_classes == 3


@pytest.mark.parametrize("name", [path.stem for path in CONF.glob("*.yaml")])
def test_every_command_has_a_config(name):
    assert (CONF.parent / "src" / f"{name}.py").is_file()


@pytest.mark.parametrize("source", [path.stem for path in (CONF / "data").glob("[!_]*.yaml")])
def test_crops_takes_any_source_and_keeps_its_augmentation(source):
    data = composed("+experiment=crops", f"data={source}").data
    assert data._target_ == composed(f"data={source}").data._target_
    assert data.augment == {"_target_": "graft.data.transforms.defects", "symmetry": "auto"}


def test_a_mapping_is_given_on_the_command_line():
    assert composed("data=table", "data.columns={path: file}").data.columns == {"path": "file"}
    assert composed("data=huggingface", "data.splits={dev: null}").data.splits == {"dev": None}
