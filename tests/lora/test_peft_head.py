"""Heads that are more than one Linear, from Graft to PEFT and back, and from PEFT to Graft and back."""

import copy

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import ModulesToSaveWrapper
from safetensors.torch import load_file, save_file
from torch import nn

from src.lora import AdapterError, inject, injection_of, load_adapter, load_peft, remove, save_adapter, save_peft
from src.lora.heads import head_state
from src.lora.peft_format import UPDATABLE
from src.lora.peft_head import names_to_save
from src.lora.targets import sites
from tests.lora.conftest import build, images, outputs, relative, stir
from tests.lora.families import build_family
from tests.lora.family_table import FAMILIES
from tests.lora.test_targets import Named

FAMILIES_OF_HEADS = {
    "cpubone": {},
    "crossvit": {},
    "dla": {},
    "dpn": {},
    "efficientformer": {},
    "efficientformer_v2": {},
    "efficientvim": {},
    "iformer": {},
    "levit": {},
    "repvit": {},
    "resnetv2": {},
    "sequencer": {},
    "swiftformer": {},
    "vision_transformer_sam": {"depth": 2},
    "volo": {},  # PEFT takes its aux_head for the head
}


class Heads(nn.Module):
    """A body, a list of heads, and a head with a norm of its own."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 16)
        self.heads = nn.ModuleList([nn.Linear(16, 5), nn.Linear(16, 5)])
        self.head = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 5))

    def forward(self, x):
        y = self.body(x.mean((2, 3))).relu()
        return sum(head(y) for head in self.heads) + self.head(y)

    def get_classifier(self):
        return self.heads, self.head


def move(values):
    """Give parameters and statistics other values, positive where they are variances."""
    with torch.no_grad():
        for name, value in values.items():
            if not value.is_floating_point():
                value.add_(7)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 2)
            else:
                value.add_(torch.randn_like(value) * 0.1)


def layer_of(model):
    """Return the name of the last layer that PEFT and Graft can both adapt."""
    plain = [site for site in sites(model) if type(site.module).forward in UPDATABLE and "aux" not in site.name]
    return next(site.name for site in reversed(plain) if getattr(site.module, "groups", 1) == 1)


def with_another_head(base):
    model = copy.deepcopy(base)
    move(head_state(model))
    return model


def check(base, x, folder):
    torch.manual_seed(1)
    from_graft(base, x, layer_of(base), folder)
    from_peft(base, x, layer_of(base), folder)


def from_graft(base, x, layer, folder):
    ours = copy.deepcopy(base)
    inject(ours, rank=2, targets=[layer])
    stir(ours, std=0.05)
    move({key: value for key, value in head_state(ours).items() if not isinstance(value, nn.Parameter)})
    expected = outputs(ours, x)
    save_peft(folder / "graft", ours)
    theirs = PeftModel.from_pretrained(with_another_head(base), folder / "graft").eval()
    assert relative(outputs(theirs, x), expected) <= 1e-5
    again = with_another_head(base)
    load_peft(folder / "graft", again)
    assert relative(outputs(again, x), expected) <= 1e-5
    assert all(torch.equal(value, head_state(ours)[key]) for key, value in head_state(again).items())
    third = with_another_head(base)
    load_adapter(save_adapter(folder / "a.safetensors", again), third)
    assert torch.equal(outputs(third, x), outputs(again, x))


def from_peft(base, x, layer, folder):
    names = names_to_save(copy.deepcopy(base).requires_grad_(False), ())
    config = LoraConfig(r=2, target_modules=f"{layer}$".replace(".", r"\."), modules_to_save=names)
    theirs = get_peft_model(copy.deepcopy(base), config).eval()
    stir(theirs, std=0.05)
    for module in theirs.modules():
        if isinstance(module, ModulesToSaveWrapper):
            move(dict(module.modules_to_save.named_buffers()))
    expected = outputs(theirs, x)
    theirs.save_pretrained(folder / "peft")
    ours = copy.deepcopy(base)
    load_peft(folder / "peft", ours)
    assert relative(outputs(ours, x), expected) <= 1e-5 < relative(expected, outputs(base, x))
    save_peft(folder / "again", ours)
    back = PeftModel.from_pretrained(copy.deepcopy(base), folder / "again").eval()
    assert relative(outputs(back, x), expected) <= 1e-5
    first, last = (load_file(folder / each / "adapter_model.safetensors") for each in ("peft", "again"))
    assert first.keys() == last.keys()


def test_norms_in_heads_and_lists_of_heads_go_to_peft_and_back(tmp_path):
    torch.manual_seed(0)
    base = Heads().eval()
    move(head_state(base))
    check(base, torch.randn(4, 3, 8, 8), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES_OF_HEADS)
def test_every_head_that_is_more_than_one_linear_goes_to_peft_and_back(family, tmp_path):
    name, size, options = FAMILIES[family]
    check(*build_family(name, size, **options, **FAMILIES_OF_HEADS[family]), tmp_path)


@pytest.mark.parametrize(
    ("base", "shape", "targets"),
    [
        (Heads, (4, 3, 8, 8), "all-linear"),
        (Heads, (4, 3, 8, 8), r"heads\.1"),  # the head alone
        (Named, (2, 3, 16, 16), "all-linear"),
        (lambda: build("vit"), (1, 3, 160, 160), ["qkv", "head"]),
    ],
)
def test_lora_on_the_head_is_added_to_the_head(base, shape, targets, tmp_path):
    torch.manual_seed(0)
    base, x = base().eval(), torch.randn(shape)
    theirs = get_peft_model(copy.deepcopy(base), LoraConfig(r=2, lora_alpha=6, target_modules=targets)).eval()
    stir(theirs, std=0.1)
    expected = outputs(theirs, x)
    theirs.save_pretrained(tmp_path)
    ours = copy.deepcopy(base)
    layers = load_peft(tmp_path, ours).layers
    assert relative(outputs(ours, x), expected) <= 1e-5 < relative(expected, outputs(base, x))
    assert not {layer.name for layer in layers} & {name.rpartition(".")[0] for name in head_state(base)}
    again = copy.deepcopy(base)
    load_adapter(save_adapter(tmp_path / "ours", ours), again)
    assert torch.equal(outputs(again, x), outputs(ours, x))


def by_peft(base, folder, **options):
    theirs = get_peft_model(copy.deepcopy(base), LoraConfig(r=2, **options)).eval()
    stir(theirs, std=0.1)
    theirs.save_pretrained(folder)
    return theirs


def test_the_part_of_the_head_that_peft_did_not_save_stays(tmp_path):
    base, x = Heads().eval(), torch.randn(4, 3, 8, 8)
    theirs = by_peft(base, tmp_path, target_modules=["body"], modules_to_save=["head"])
    ours = copy.deepcopy(base)
    load_peft(tmp_path, ours)
    assert relative(outputs(ours, x), outputs(theirs, x)) <= 1e-5
    assert all(torch.equal(value, base.heads.state_dict()[name]) for name, value in ours.heads.state_dict().items())


def test_what_peft_saved_beside_the_head_is_loaded_saved_and_removed(tmp_path):
    base = build("vit")
    theirs = by_peft(base, tmp_path, target_modules=["qkv"], modules_to_save=["head", "norm2"])
    ours, again = copy.deepcopy(base), copy.deepcopy(base)
    load_peft(tmp_path, ours)
    x = images(base)
    assert relative(outputs(ours, x), outputs(theirs, x)) <= 1e-5
    load_adapter(save_adapter(tmp_path / "ours", ours), again)
    assert torch.equal(outputs(again, x), outputs(ours, x))
    back = PeftModel.from_pretrained(copy.deepcopy(base), save_peft(tmp_path / "theirs", ours)).eval()
    assert relative(outputs(back, x), outputs(theirs, x)) <= 1e-5
    frozen = {name: value for name, value in remove(ours).state_dict().items() if "head" not in name}
    assert all(torch.equal(value, base.state_dict()[name]) for name, value in frozen.items())


def test_a_norm_with_statistics_beside_the_head_is_refused(tmp_path):
    base = build("dilated_resnet")
    by_peft(base, tmp_path, target_modules=["conv1.0"], modules_to_save=["bn1"])
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    tensors["base_model.model.bn1.running_mean"] += 1  # as a training moves it
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    with pytest.raises(AdapterError, match=r"holds bn1\.running_mean, and Graft changes no statistics"):
        load_peft(tmp_path, base)
    assert injection_of(base) is None


def test_a_tied_layer_is_refused_with_the_folder(tmp_path):
    base = nn.Sequential(nn.Embedding(8, 8), nn.Linear(8, 8, bias=False))
    base[1].weight = base[0].weight
    other = nn.Sequential(nn.Embedding(8, 8), nn.Linear(8, 8, bias=False))
    by_peft(other, tmp_path, target_modules=["1"])
    with pytest.raises(AdapterError, match=f"{tmp_path} adapts 1, whose weight is tied"):
        load_peft(tmp_path, base)


def test_a_layer_that_peft_would_take_for_the_head_is_not_written(tmp_path):
    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.my_head, self.head = nn.Linear(3, 16), nn.Linear(16, 5)

        def forward(self, x):
            return self.head(self.my_head(x.mean((2, 3))).relu())

        def get_classifier(self):
            return self.head

    model = Alone()
    inject(model, rank=2)
    with pytest.raises(ValueError, match="PEFT would save my_head whole, since its name ends as that of a module"):
        save_peft(tmp_path / "out", model)
    assert not (tmp_path / "out").exists()


def test_the_file_in_a_folder_of_peft_stands_for_the_folder(tmp_path):
    base = build("vit")
    by_peft(base, tmp_path, target_modules=["qkv"])
    assert load_peft(tmp_path / "adapter_model.safetensors", base).layers


def test_what_was_unfrozen_goes_to_peft_or_is_refused(tmp_path):
    model, x = build("vit"), images(build("vit"))
    inject(model, rank=2, targets="mlp")
    model.norm.requires_grad_(True)
    stir(model, std=0.1)
    theirs = PeftModel.from_pretrained(build("vit"), save_peft(tmp_path / "a", model)).eval()
    assert relative(outputs(theirs, x), outputs(model, x)) <= 1e-5
    normed, again = build("dilated_resnet"), build("dilated_resnet")
    inject(normed, rank=2, targets=["layer1.0.conv1"], fold_norms=False)
    normed.bn1.requires_grad_(True)
    stir(normed)
    load_peft(save_peft(tmp_path / "c", normed), again)  # statistics that are the model's own are no obstacle
    assert torch.equal(again.bn1.weight, normed.bn1.weight)
    model.cls_token.requires_grad_(True)
    with pytest.raises(ValueError, match="PEFT saves whole modules, not cls_token of the model itself"):
        save_peft(tmp_path / "b", model)
    model.cls_token.requires_grad_(False)
    model.blocks[0].mlp.fc1.bias.requires_grad_(True)
    with pytest.raises(ValueError, match=r"PEFT would save blocks\.0\.mlp\.fc1 whole"):
        save_peft(tmp_path / "b", model)
    folded = build("dilated_resnet")
    inject(folded, rank=2, targets=["layer1.0.conv1"])
    folded.layer2[0].bn1.weight.requires_grad_(True)
    with pytest.raises(ValueError, match=r"PEFT would save .*bn1\..*, which is folded here"):
        save_peft(tmp_path / "b", folded)
    assert not (tmp_path / "b").exists()
