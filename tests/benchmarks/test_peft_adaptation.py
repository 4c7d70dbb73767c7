import sys

import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file

from src.backbones import create_backbone
from src.benchmarks.methods import RANK, shared_layers
from src.benchmarks.peft_adaptation import FILE, Peft
from tests.lora.conftest import relative


def adapted():
    model = create_backbone("test_efficientnet", "none", 3, (64, 64))[0]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    Peft().prepare(model)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    return model.eval(), before


def test_the_file_holds_every_adapter_and_the_head(tmp_path):
    model, before = adapted()
    path = Peft().save(tmp_path, model, {})
    tensors = load_file(path)
    names = shared_layers(create_backbone("test_efficientnet", "none", 3)[0])
    factors = {f"base_model.model.{name}.lora_{ab}.weight" for name in names for ab in "AB"}
    assert path.name == FILE and set(tensors) == factors | {
        f"base_model.model.classifier.{k}" for k in ("weight", "bias")
    }
    assert not torch.equal(tensors["base_model.model.classifier.weight"], before["classifier.weight"])
    assert sum(t.numel() for t in tensors.values()) == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert min(tensors[name].shape[0] for name in factors if "lora_A" in name) == RANK


def test_removed_it_leaves_the_base_bit_for_bit():
    model, before = adapted()
    plain = Peft().remove(model)
    state = plain.state_dict()
    assert set(state) == set(before) and not any(isinstance(module, LoraLayer) for module in plain.modules())
    assert {name for name in before if not torch.equal(state[name], before[name])} == {
        "classifier.weight",
        "classifier.bias",
    }


def test_merged_it_computes_the_same():
    model, _ = adapted()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)
        merged = Peft().merge(model)
        assert not any(isinstance(module, LoraLayer) for module in merged.modules())
        assert relative(merged(x), expected) < 1e-5


def test_without_peft_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match="pip install"):
        Peft().prepare(create_backbone("test_efficientnet", "none", 3)[0])
