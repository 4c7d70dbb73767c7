import copy
import logging

import pytest
import timm
import torch
from torch import nn

from src.lora import inject, remove
from src.lora.fold import fold_norms, is_folded, unfold
from src.lora.fusion import fused_activation
from tests.lora.conftest import build, images, outputs, relative


def folded(model):
    return [name for name, module in model.named_modules() if is_folded(module)]


def test_every_norm_of_a_resnet_folds_and_unfolds_bit_for_bit():
    model = build("dilated_resnet")
    x, state = images(model), copy.deepcopy(model.state_dict())
    before = outputs(model, x)
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert fold_norms(model) == len(norms) and folded(model) == norms
    assert relative(outputs(model, x), before) <= 1e-5
    for module in model.modules():
        unfold(module)
    assert folded(model) == []
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert list(model.state_dict()) == list(state)


class Shared(nn.Module):
    """A conv whose output is read by its norm and by somebody else."""

    def __init__(self):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.second, self.norm2 = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        for norm in (self.norm1, self.norm2):
            norm.running_var.fill_(3.0)

    def forward(self, x):
        y = self.first(x)
        return self.norm2(self.second(self.norm1(y).relu())) + y


def test_a_conv_with_another_reader_is_left_alone_with_a_warning(caplog):
    torch.manual_seed(0)
    model = Shared().eval()
    x = torch.randn(2, 3, 16, 16)
    before = outputs(model, x)
    with caplog.at_level(logging.WARNING):
        fold_norms(model)
    assert folded(model) == ["norm2"] and "1 of 2 batch norms stay unfolded" in caplog.text
    assert relative(outputs(model, x), before) <= 1e-5


def test_weight_standardised_convs_are_left_alone():
    class Standardised(nn.Conv2d):
        def forward(self, x):
            weight = (self.weight - self.weight.mean((1, 2, 3), True)) / self.weight.std((1, 2, 3), keepdim=True)
            return nn.functional.conv2d(x, weight, self.bias)

    torch.manual_seed(0)
    model = nn.Sequential(Standardised(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)).eval()
    model[1].running_var.fill_(3.0)
    fold_norms(model)
    assert folded(model) == ["3"]


def test_a_model_that_does_not_run_stays_unfolded_with_a_warning(caplog):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(7, 2)).eval()
    with caplog.at_level(logging.WARNING):
        assert fold_norms(model) == 0
    assert "stay unfolded" in caplog.text


def test_the_random_state_and_the_modes_are_left_alone():
    model = build("dilated_resnet").train()
    state = torch.random.get_rng_state()
    fold_norms(model)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert model.training and model.layer1[0].conv1.training


def test_a_folded_norm_of_timm_still_acts():
    model = timm.create_model("test_efficientnet", pretrained=False, num_classes=3).eval()
    x = images(model)
    before = outputs(model, x)
    injection = inject(model, targets=[])
    assert injection.folded > 10
    assert relative(outputs(model, x), before) <= 1e-5
    remove(model)
    assert torch.equal(outputs(model, x), before)


def test_a_fused_relu_runs_in_inference_mode_as_without_gradients():
    model = build("dilated_resnet")
    x = images(model)
    inject(model)
    with torch.no_grad():
        expected = model(x)
    with torch.inference_mode():  # its tensors have no version counter
        assert torch.equal(model(x), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_originals_follow_a_change_of_dtype(dtype):
    model = build("dilated_resnet")
    fold_norms(model)
    model.to(dtype)
    for module in model.modules():
        unfold(module)
    assert all(p.dtype == dtype for p in model.parameters())


class Reread(nn.Module):
    """A norm whose output is read before a ReLU changes it in place, by an operation that keeps no version."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.act1 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.conv2, self.bn2, self.act2 = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        for norm in (self.bn1, self.bn2):
            norm.running_var.fill_(3.0)

    def forward(self, x):
        y = self.bn1(self.conv1(x))
        before = y * 1.0
        return self.act2(self.bn2(self.conv2(self.act1(y)))) + before


def test_a_relu_whose_input_has_another_reader_is_not_fused():
    torch.manual_seed(0)
    model, x = Reread().eval(), torch.randn(2, 3, 16, 16)
    expected = outputs(model, x)
    inject(model, rank=1)
    assert folded(model) == ["bn1", "bn2"]
    assert relative(model(x), expected) <= 1e-5  # while gradients are taken
    assert [fused_activation(conv) for conv in (model.conv1, model.conv2)] == [None, "ReLU"]


def test_a_head_of_zeros_hides_no_wrong_fold():
    torch.manual_seed(0)
    model = nn.Sequential(Shared(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    model.get_classifier = lambda: model[3]
    nn.init.zeros_(model[3].weight)
    fold_norms(model)
    assert folded(model) == ["0.norm2"] and not model[3].weight.any()


def test_norms_and_activations_may_be_called_by_keyword():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.act, self.last = (
                nn.Conv2d(3, 4, 3),
                nn.BatchNorm2d(4),
                nn.GELU(),
                nn.Conv2d(4, 2, 1),
            )

        def forward(self, x):
            return self.last(self.act(input=self.norm(input=self.conv(x))))

    model, x = Named().eval(), torch.randn(2, 3, 8, 8)
    expected = outputs(model, x)
    inject(model, rank=1)
    assert relative(model(x), expected) <= 1e-5
