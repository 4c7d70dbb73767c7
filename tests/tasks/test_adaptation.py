import copy
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from hydra import compose, initialize_config_dir

from src.backbones import Backbone
from src.lora import adapters, read_adapter
from src.spec import TaskSpec
from src.targets import instantiate
from src.tasks import ClassificationTask, Lora, Setting, warmup_cosine

CONF = Path(__file__).parents[2] / "conf"


def chosen(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose("train", overrides=list(overrides)).lora)


@pytest.mark.parametrize(
    ("choice", "field", "value"),
    [
        ("lora", "kind", "lora"),
        ("dora", "kind", "dora"),
        ("pissa", "init", "pissa"),
        ("eva", "init", "eva"),
        ("rslora", "scaling", "rslora"),
    ],
)
def test_each_choice_says_what_its_name_says_and_its_file_keeps_it(choice, field, value, tmp_path):
    adaptation = chosen(f"lora={choice}", "lora.rank=2", "lora.targets=[*conv*]", "+lora.ranks.conv_stem=1")
    model = timm.create_model("test_efficientnet", pretrained=False, num_classes=3).eval()
    assert adaptation.prepare(model).settings.rank == 2
    assert getattr(adaptation, field) == value and adaptation.ranks == {"conv_stem": 1}
    assert any("conv_stem" in line for line in adaptation.describe(model))
    assert (f"{field}: {value}" in adaptation.describe(model)) == (choice != "lora")
    saved = read_adapter(adaptation.save(tmp_path, model, {})).settings
    assert Lora(**vars(saved)) == adaptation
    merged = adaptation.merge(copy.deepcopy(model))
    assert not list(adapters(merged)) and list(adapters(model))


def test_the_head_alone_is_described_as_such():
    model = timm.create_model("test_efficientnet", pretrained=False, num_classes=3).eval()
    adaptation = Lora(targets=[])
    adaptation.prepare(model)
    assert adaptation.describe(model)[0] == "head only, backbone frozen"
    assert sum(p.requires_grad for p in model.parameters()) == 2 and torch.is_tensor(model.classifier.weight)


def test_lora_plus_sets_the_peak_of_every_b():
    backbone = Backbone("test_efficientnet", "none")
    spec = TaskSpec("classification", ("a", "b"), None, ("identity",))
    setting = Setting(backbone, Lora(rank=2, targets="dense"), backbone.image_spec(), spec)
    adamw = partial(torch.optim.AdamW, lr=1e-3)
    task = ClassificationTask(setting, optimizer=adamw, scheduler=warmup_cosine, lora_plus_ratio=8.0)
    task.configure_model()
    task.trainer = trainer = SimpleNamespace(estimated_stepping_batches=10)
    optimizer = task.configure_optimizers()["optimizer"]
    assert trainer.estimated_stepping_batches == 10
    assert [group["initial_lr"] for group in optimizer.param_groups] == [1e-3, 8e-3]
    low_rank = [a for _, _, a in adapters(task.model) if a.kind == "low-rank"]
    assert {id(p) for p in optimizer.param_groups[1]["params"]} == {id(adapter.B) for adapter in low_rank}


def test_eva_starts_in_the_directions_of_the_batches():
    adaptation = chosen("lora=eva", "lora.rank=2", "lora.targets=dense")
    model = timm.create_model("test_vit", pretrained=False, num_classes=3).eval()
    adaptation.prepare(model)
    before = [adapter.A.detach().clone() for _, _, adapter in adapters(model)]
    batches = iter(torch.randn(6, 2, 3, 160, 160))
    adaptation.start(model, batches)
    assert all(not torch.equal(adapter.A, a) for a, (_, _, adapter) in zip(before, adapters(model), strict=True))
    assert len(list(batches)) == 2
