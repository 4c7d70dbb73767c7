import pytest
import timm
from torch import nn

from src.lora.targets import classifiers, select, sites


def names(model, targets):
    return {site.name for site in select(model, targets)}


@pytest.fixture(scope="module")
def vit():
    return timm.create_model("test_vit", pretrained=False)


def test_roles_of_a_vit(vit):
    assert names(vit, "attention") == {f"blocks.{i}.attn.{part}" for i in range(6) for part in ("qkv", "proj")}
    assert names(vit, "mlp") == {f"blocks.{i}.mlp.{part}" for i in range(6) for part in ("fc1", "fc2")}
    assert names(vit, "conv") == {"patch_embed.proj"}
    assert names(vit, "all") == names(vit, "dense") == names(vit, ["attention", "mlp", "conv"])


def test_roles_of_an_inverted_bottleneck():
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    depthwise = {name for name, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.groups > 1}
    assert len(depthwise) == 16
    assert names(model, "dense") == names(model, "all") - depthwise
    assert names(model, "conv") == names(model, "all")
    assert names(model, "mlp") == names(model, "dense") - {"conv_stem", "conv_head"}
    with pytest.raises(ValueError, match="'attention' matches no layer"):
        select(model, "attention")


def test_roles_of_swin_and_convnext():
    swin = timm.create_model("swin_tiny_patch4_window7_224", embed_dim=24, depths=(1, 1), num_heads=(2, 4))
    assert names(swin, "attention") == {f"layers.{i}.blocks.0.attn.{p}" for i in (0, 1) for p in ("qkv", "proj")}
    convnext = timm.create_model("test_convnext", pretrained=False)
    mlp = {name for name, m in convnext.named_modules() if isinstance(m, nn.Linear) and ".mlp." in name}
    assert names(convnext, "mlp") == mlp


@pytest.mark.parametrize("name", ["mobilenetv4_conv_small", "mobilenetv3_small_050", "repvit_m1"])
def test_an_mlp_of_convolutions_is_what_expands_and_projects(name):
    model = timm.create_model(name, pretrained=False)
    for layer in names(model, "mlp"):
        conv = model.get_submodule(layer)
        assert conv.kernel_size == (1, 1) and conv.groups == 1 and ".se." not in layer
    expanding = {n for n in names(model, "all") if n.endswith(("pw_exp.conv", "conv_pwl", "channel_mixer.conv1.c"))}
    assert expanding and expanding <= names(model, "mlp")


def test_globs_and_lists(vit):
    assert names(vit, "blocks.0.*") == {f"blocks.0.{p}" for p in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")}
    assert names(vit, ["*.qkv", "conv"]) == {*(f"blocks.{i}.attn.qkv" for i in range(6)), "patch_embed.proj"}


def test_an_unmatched_target_names_its_neighbours(vit):
    with pytest.raises(ValueError, match=r"'blocks.0.attn.qvk' matches no layer; near names: .*blocks.0.attn.qkv"):
        select(vit, "blocks.0.attn.qvk")
    with pytest.raises(ValueError, match="near names: attention"):
        select(vit, ["attentoin"])


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "levit_128s"])
def test_heads_are_never_targets(name):
    model = timm.create_model(name, pretrained=False)
    heads = {id(module) for head in classifiers(model) for module in head.modules()}
    assert heads and not heads & {id(site.module) for site in sites(model)}
    assert len(classifiers(model)) == (2 if name.startswith("levit") else 1)


def test_a_plain_module_has_no_head():
    assert [site.name for site in sites(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))] == ["0"]
