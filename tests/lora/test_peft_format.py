import copy
import errno
import json

import pytest
import timm
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

from src import atomic
from src.lora import inject, injection_of, load_peft, save_adapter, save_peft
from src.lora.adapter_file import load_adapter
from tests.lora.conftest import build, images, outputs, relative, stir
from tests.lora.test_targets import Named

MODELS = {
    "test_vit": r".*(qkv|fc1|fc2)|patch_embed\.proj",
    "test_resnet": r"conv1\.[036]|layer.*conv\d|.*downsample\.1",
    "test_convnext": r".*(fc1|fc2)|stem\.0|.*downsample\.1",
}
HEADS = {"test_vit": "head", "test_resnet": "fc", "test_convnext": "head.fc"}


def plain(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(name, pretrained=False, num_classes=5).eval()
        for parameter in model.parameters():
            if parameter.abs().max() < 1e-3:
                nn.init.normal_(parameter, std=0.02)
    return model


def by_peft(name, folder, **options):
    """Let PEFT make, stir and save an adapter; return its logits."""
    pattern = MODELS[name]
    config = LoraConfig(
        **{"r": 4, "lora_alpha": 6, "target_modules": pattern, "modules_to_save": [HEADS[name]]} | options
    )
    model = get_peft_model(plain(name), config).eval()
    stir(model, std=0.05)
    model.save_pretrained(folder)
    return outputs(model, images(model.base_model.model))


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}], ids=["lora", "rslora"])
@pytest.mark.parametrize("name", MODELS)
def test_what_peft_wrote_gives_pefts_logits(name, options, tmp_path):
    expected, model = by_peft(name, tmp_path, **options), plain(name)
    before = outputs(model, images(model))
    load_peft(tmp_path, model)
    assert relative(outputs(model, images(model)), expected) <= 1e-5
    assert relative(expected, before) > 1e-2
    save_adapter(tmp_path / "ours", model)
    again = plain(name)
    load_adapter(tmp_path / "ours", again)
    assert torch.equal(outputs(again, images(again)), outputs(model, images(model)))


@pytest.mark.parametrize(
    "choice",
    [{}, {"scaling": "rslora", "ranks": {"*1*": 2}, "alphas": {"*1*": 3.0}}, {"init": "pissa"}],
    ids=["lora", "patterns", "pissa"],
)
@pytest.mark.parametrize("name", MODELS)
def test_peft_gives_our_logits_with_what_we_wrote(name, choice, tmp_path):
    model = plain(name)
    targets = {"test_vit": ["blocks.*"], "test_resnet": ["layer*"], "test_convnext": "mlp"}[name]
    inject(model, rank=3, alpha=5.0, targets=targets, **choice)
    stir(model, std=0.05)
    expected = outputs(model, images(model))
    assert save_peft(tmp_path, model) == tmp_path
    theirs = PeftModel.from_pretrained(plain(name), tmp_path).eval()
    assert relative(outputs(theirs, images(model)), expected) <= 1e-5
    ours = plain(name)
    load_peft(tmp_path, ours)
    assert relative(outputs(ours, images(model)), expected) <= 1e-5


def test_patterns_of_peft_are_followed(tmp_path):
    patterns = {"rank_pattern": {"fc1": 2, r"blocks\.[01]\.mlp\.fc2": 6}, "alpha_pattern": {"fc1": 1}}
    expected, model = by_peft("test_vit", tmp_path, **patterns), plain("test_vit")
    injection = load_peft(tmp_path, model)
    assert {injection.settings.recipe(layer.name).rank for layer in injection.layers} >= {2, 4, 6}
    assert relative(outputs(model, images(model)), expected) <= 1e-5


def test_a_pair_larger_than_its_weight_becomes_dense_with_the_same_update(tmp_path):
    expected, model = by_peft("test_vit", tmp_path, r=70), plain("test_vit")
    assert {layer.kind for layer in load_peft(tmp_path, model).layers} == {"dense"}
    assert relative(outputs(model, images(model)), expected) <= 1e-5


def test_without_modules_to_save_the_head_stays(tmp_path):
    expected, model = by_peft("test_vit", tmp_path, modules_to_save=None), plain("test_vit")
    load_peft(tmp_path, model)
    assert relative(outputs(model, images(model)), expected) <= 1e-5


def refused(folder, message, model=None):
    model = model or plain("test_vit")
    state = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        load_peft(folder, model)
    assert injection_of(model) is None and all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peft_type": "LOHA"}, "its peft_type is LOHA"),
        ({"use_dora": True}, "it uses use_dora"),
        ({"bias": "all"}, "it uses bias"),
        ({"init_lora_weights": "pissa_niter_4"}, "it uses init_lora_weights"),
        ({"r": 5}, r"does not fit blocks\.0\.attn\.qkv: A is \(4, 64\)"),
        ({"lora_alpha": 0}, "alpha must be above 0"),
        ({"rank_pattern": [1]}, "cannot be used"),
        ({"rank_pattern": {"qkv[": 3}}, "cannot be used"),
        ({"target_modules": "qkv["}, "no pattern"),
        ({"target_modules": 3}, "target_modules is 3, no list of names"),
        ({"modules_to_save": "head"}, "modules_to_save is 'head', no list of names"),
        ({"modules_to_save": ["head", 1]}, "no list of names"),
        ({"target_modules": ["qkv", "fc1"]}, r"lacks A and B of \['blocks.0.mlp.fc1'"),
    ],
)
def test_refuses_a_configuration_that_means_something_else(change, message, tmp_path):
    by_peft("test_vit", tmp_path, target_modules=["qkv"])
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | change))
    refused(tmp_path, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("base_model.model.blocks.0.attn.qkv.lora_A.weight"), r"lacks A or B of \['blocks.0.attn.qkv'"),
        (lambda t: t.update({"base_model.model.norm.weight": torch.zeros(64)}), "norm.weight, which is neither"),
        (lambda t: t.update({"base_model.model.head.bias": torch.zeros(9)}), "another number of classes"),
        (lambda t: t["base_model.model.blocks.1.attn.qkv.lora_B.weight"].fill_(float("nan")), r"NaN.*blocks\.1"),
        (lambda t: t.clear(), "lacks A or B of every layer"),
        (lambda t: t.pop("base_model.model.head.bias"), r"lacks \['head.bias'\] of the head"),
        (lambda t: [t.pop(f"base_model.model.head.{key}") for key in ("weight", "bias")], "lacks .* of the head"),
        (lambda t: [t.pop(key) for key in list(t) if "blocks.1." in key], r"lacks A and B of \['blocks.1.attn.qkv'\]"),
    ],
)
def test_refuses_tensors_that_do_not_fit(change, message, tmp_path):
    by_peft("test_vit", tmp_path, target_modules=["qkv"])
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    refused(tmp_path, message)


def test_refuses_nothing_damage_pickles_and_another_network(tmp_path):
    refused(tmp_path, "no adapter_config.json")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "give the folder that PEFT's save_pretrained wrote")
    by_peft("test_vit", tmp_path, target_modules=["qkv"], modules_to_save=None)
    refused(tmp_path, "no layer blocks.0.attn.qkv; near names", plain("test_resnet"))
    weights = tmp_path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    refused(tmp_path, "damaged")
    weights.rename(tmp_path / "adapter_model.bin")
    refused(tmp_path, "never loaded")
    (tmp_path / "adapter_config.json").write_text("[]")
    refused(tmp_path, "no configuration of PEFT")


def test_grouped_and_dilated_convs_are_named(tmp_path):
    config = LoraConfig(r=96, target_modules=r"stages\.0\.blocks\.0\.conv_dw")
    with pytest.warns(UserWarning, match="groups"):
        groups = plain("test_convnext").stages[0].blocks[0].conv_dw.groups
        config.r = 2 * groups
        get_peft_model(plain("test_convnext"), config).save_pretrained(tmp_path)
    refused(tmp_path, r"cannot exchange stages\.0\.blocks\.0\.conv_dw", plain("test_convnext"))
    dilated = timm.create_model("test_resnet", pretrained=False, output_stride=8).eval()
    inject(dilated, rank=2, targets="conv")
    with pytest.raises(ValueError, match=r"cannot exchange layer\d.*dilation"):
        save_peft(tmp_path / "out", dilated)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"kind": "dora"}, r"the dora adapter of .*\.weight"),
        ({"ranks": {"stages.1.*.fc1": 500}}, r"the dense adapter of stages\.1\.blocks\.0\.mlp\.fc1"),
        ({"targets": ["stages.1.blocks.0.conv_dw", "*fc1"]}, r"cannot exchange stages\.1\.blocks\.0\.conv_dw"),
        ({"targets": []}, "no adapters to save"),
    ],
)
def test_refuses_to_write_what_peft_cannot_hold(choice, message, tmp_path):
    model = plain("test_convnext")
    inject(model, **{"rank": 2, "targets": "mlp"} | choice)
    with pytest.raises(ValueError, match=message):
        save_peft(tmp_path / "out", model)
    assert not (tmp_path / "out").exists()


def test_a_weight_that_its_parent_reads_is_not_written_for_peft(tmp_path):
    model = build("beit")
    inject(model, rank=2, targets="attention")
    with pytest.raises(ValueError, match=r"blocks\.0\.attn\.qkv: its parent reads the weight"):
        save_peft(tmp_path / "out", model)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layer", ["conv", "dense", "mix[0]"])
def test_a_layer_that_is_called_as_a_role_or_a_pattern_is_adapted_alone(layer, tmp_path):
    torch.manual_seed(0)
    base, x = Named().eval(), torch.randn(2, 3, 16, 16)
    theirs = get_peft_model(copy.deepcopy(base), LoraConfig(r=2, target_modules=[layer])).eval()
    stir(theirs, std=0.2)
    theirs.save_pretrained(tmp_path)
    ours = copy.deepcopy(base)
    assert [each.name for each in load_peft(tmp_path, ours).layers] == [layer]
    assert relative(outputs(ours, x), outputs(theirs, x)) <= 1e-5 < relative(outputs(theirs, x), outputs(base, x))
    again = copy.deepcopy(base)
    load_adapter(save_adapter(tmp_path / "ours", ours), again)
    assert torch.equal(outputs(again, x), outputs(ours, x))


def test_both_files_are_written_or_none(tmp_path, monkeypatch):
    model = plain("test_vit")
    inject(model, rank=2, targets=["blocks.0.mlp.fc1"])
    written = save_peft(tmp_path / "new", model)
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    model = plain("test_vit")
    inject(model, rank=3, targets=["blocks.0.mlp.fc1"])  # another configuration too
    (written / "README.md").write_text("kept")

    for folder in ("new", "other"):
        calls = []

        def full(descriptor, calls=calls):
            calls.append(descriptor)
            if len(calls) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(atomic.os, "fsync", full)
            with pytest.raises(atomic.WriteError, match="make room on that disk") as told:
                save_peft(tmp_path / folder, model)
            assert told.value.filename == str(tmp_path / folder)
    assert {path.name: path.read_bytes() for path in written.iterdir()} == {**before, "README.md": b"kept"}
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    save_peft(written, model)
    assert all((written / name).read_bytes() != content for name, content in before.items())
