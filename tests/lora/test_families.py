"""Every invariant of the engine on every timm family: a few unlike ones by default, all of them with `-m slow`."""

import pytest
import timm.models._registry as registry

from tests.lora.families import check_family
from tests.lora.family_table import FAMILIES

UNLIKE = ("edgenext", "efficientnet")  # the models of conftest.py are further kinds


@pytest.mark.parametrize("family", UNLIKE)
def test_every_invariant_holds_on_unlike_families(family, tmp_path):
    check_family(family, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(UNLIKE)))
def test_every_invariant_holds_on_every_family(family, tmp_path):
    check_family(family, tmp_path)


@pytest.mark.slow
def test_no_family_is_left_out():
    assert set(registry._module_to_models) <= set(FAMILIES)
