"""The invariants on real images and real weights: EfficientNet-Lite0 on ELPV."""

import copy

import pytest
import torch
import torch.nn.functional as F

from src.backbones import create_backbone
from src.backbones.pixels import normalise
from src.data import ElpvData
from src.lora import inject, load_adapter, merge, remove, save_adapter
from tests.lora.conftest import outputs, relative


@pytest.fixture(scope="module")
def cells():
    model, spec = create_backbone("tf_efficientnet_lite0", num_classes=2)
    data = ElpvData(image=spec, limit=24)
    data.setup()
    pixels, targets, _ = next(iter(data.loader("train")))
    return model.to(memory_format=torch.channels_last), normalise(pixels.permute(0, 2, 3, 1), spec), targets


@pytest.mark.slow
@pytest.mark.parametrize("targets", ["dense", "all"])
def test_every_invariant_holds_through_a_training(cells, targets, tmp_path):
    pristine, x, labels = cells
    model, state, before = copy.deepcopy(pristine), copy.deepcopy(pristine.state_dict()), outputs(pristine, x)
    injection = inject(model, rank=8, targets=targets)
    assert injection.folded == 49 and relative(outputs(model, x), before) <= 1e-5
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = F.cross_entropy(model.train()(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    trained = outputs(model.eval(), x)
    assert relative(trained, before) > 0.01
    reloaded = copy.deepcopy(pristine)
    load_adapter(save_adapter(tmp_path / "adapter.safetensors", model), reloaded)
    assert torch.equal(outputs(reloaded, x), trained)
    in_double = copy.deepcopy(reloaded).double()
    exact = outputs(in_double, x.double())
    assert relative(outputs(merge(in_double), x.double()), exact) <= 1e-5
    assert relative(outputs(merge(reloaded), x), trained) <= 1e-5
    remove(model)
    heads = ("classifier.weight", "classifier.bias")
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items() if name not in heads)


@pytest.mark.parametrize("classes", [2, 7])  # with 7, the logits of the new head are off by 1.1e-5 of their scale
def test_what_folds_does_not_hang_on_the_number_of_classes(classes):
    model, _ = create_backbone("tf_efficientnet_lite0", num_classes=classes)
    assert inject(model.to(memory_format=torch.channels_last), rank=8).folded == 49
