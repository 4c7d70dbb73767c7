import pytest
import torch

from src.lora import adapters, apply_ratios, inject, parameter_groups
from src.lora.adapters import LowRank
from tests.lora.conftest import build


def test_b_alone_learns_faster():
    model = build("dilated_resnet")
    inject(model, rank=4, kind="dora")
    optimizer = apply_ratios(torch.optim.AdamW(parameter_groups(model, 16.0), lr=1e-3))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    fast = {id(adapter.B) for _, _, adapter in adapters(model) if isinstance(adapter, LowRank)}
    assert set(rates) == {id(p) for p in model.parameters() if p.requires_grad}
    assert fast and all(rate == (0.016 if key in fast else 1e-3) for key, rate in rates.items())


def test_ratio_one_is_one_group_of_all_in_order():
    model = build("vit")
    inject(model)
    (group,) = parameter_groups(model)
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters() if p.requires_grad]
    assert apply_ratios(torch.optim.SGD([group], lr=0.5)).param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("inf"), float("nan")])
def test_refuses_a_ratio_that_is_none(ratio):
    with pytest.raises(ValueError, match="lora_plus_ratio must be above 0"):
        parameter_groups(build("vit"), ratio)
