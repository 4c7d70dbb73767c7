"""Every network that timm has a name for builds through `create_backbone`, or is refused in one line."""

import pytest
import timm
import timm.models._registry as registry
import torch

from src.backbones import create_backbone

NAMES = timm.list_models()
OTHER = (96, 96)  # no multiple of 14, and smaller than what most were trained at
PER_FAMILY = 1  # two take twice the half minute
HEADLESS = "_enc"  # encoders of language models


def sample() -> list[str]:
    """Return names of every family (a file of timm's), as far apart in its sorted list as can be."""
    chosen = []
    for family in sorted(registry._module_to_models):
        names = sorted(set(registry._module_to_models[family]) & set(NAMES))
        chosen += names[:: max(1, -(-len(names) // PER_FAMILY))]
    return chosen


def check(name: str) -> None:
    with torch.device("meta"):  # no values: what is tested is that it is put together
        try:
            model, image = create_backbone(name, "none", 3)
        except ValueError as refused:
            assert "\n" not in str(refused)
            headless, unfilled = f"{name} has no head" in str(refused), "its patches are 14 x 14" in str(refused)
            assert (headless and HEADLESS in name) or (unfilled and name.endswith("_384"))  # 384 is no multiple of 14
            return
        assert model.pretrained_cfg["input_size"][1:] == image.size and model.num_classes == 3
        try:
            model, image = create_backbone(name, "none", 3, OTHER)
        except ValueError as refused:
            assert f"{name} cannot take pictures of 96 x 96 pixels" in str(refused) and "\n" not in str(refused)
        else:
            assert image.size == OTHER == model.pretrained_cfg["input_size"][1:]


@pytest.mark.slow
def test_names_of_every_family_build_or_are_refused():
    assert len(sample()) >= len(registry._module_to_models)
    for name in sample():
        check(name)


@pytest.mark.soak
def test_every_name_builds_or_is_refused():
    for name in NAMES:
        check(name)
