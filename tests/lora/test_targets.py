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


class Named(nn.Module):
    """A network whose layers are called as roles are, and one as a pattern is."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.dense, self.head = nn.Linear(8, 8), nn.Linear(8, 5)
        self.add_module("mix[0]", nn.Linear(8, 8))

    def forward(self, x):
        y = self.dense(self.conv(self.stem(x).relu()).mean((2, 3)))
        return self.head(self.get_submodule("mix[0]")(y))

    def get_classifier(self):
        return self.head


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("conv", {"stem", "conv"}),  # a word alone is the role
        (["conv"], {"conv"}),
        (["dense"], {"dense"}),
        (["role:conv"], {"stem", "conv"}),
        (["role:conv", "dense"], {"stem", "conv", "dense"}),
        ("role:conv", {"stem", "conv"}),
        (["all"], {"stem", "conv", "dense", "mix[0]"}),  # no layer is called so
        ("mix[0]", {"mix[0]"}),
    ],
)
def test_in_a_list_the_very_name_of_a_layer_comes_before_a_role(targets, expected):
    assert names(Named(), targets) == expected


def test_a_role_with_its_mark_that_picks_nothing_is_told_as_the_role():
    with pytest.raises(ValueError, match="'attention' matches no layer of this backbone"):
        select(Named(), ["role:attention"])
