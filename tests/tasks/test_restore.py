import json
import unicodedata
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from src.backbones import Backbone
from src.lora import AdapterError, inject, save_adapter
from src.spec import TaskSpec
from src.tasks import Full, Lora, Setting, build, metadata, read_trained

SPEC = TaskSpec("classification", ("bad", "good"), "bad", ("identity", "horizontal"))


@pytest.fixture(params=[Lora(rank=2, targets="dense"), Full()], ids=["lora", "full"])
def saved(request, tmp_path):
    """A setting, its model moved away from its start, and the file."""
    backbone = Backbone("test_efficientnet", "none", "a licence", 3)
    setting = Setting(backbone, request.param, replace(backbone.image_spec(), size=(64, 64)), SPEC)
    torch.manual_seed(0)
    model = build(backbone, setting.image, SPEC)
    setting.adaptation.prepare(model)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return setting, model.eval(), setting.adaptation.save(tmp_path, model, metadata(setting, {"date": "today"}))


@pytest.mark.parametrize("named", ["file", "folder"])
def test_the_file_alone_is_the_trained_model(saved, named):
    setting, model, path = saved
    trained = read_trained(path if named == "file" else path.parent)
    assert (trained.backbone, trained.image, trained.task) == (setting.backbone, setting.image, SPEC)
    assert trained.adaptation == setting.adaptation and trained.provenance == {"date": "today"}
    again, x = trained.build(), torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(again.eval()(x), model(x))


def test_other_views_change_what_is_shipped_and_nothing_else(saved):
    _, _, path = saved
    trained = read_trained(path)
    other = trained.with_views(["vertical"])
    assert (other.task.views, other.own_views) == (("vertical",), SPEC.views)
    assert other.has_other_views and not trained.has_other_views
    assert replace(other, task=SPEC) == trained == other.with_views(None) == trained.with_views(None)
    assert trained.with_views(["horizontal", "identity"]) == trained  # the order is the training's
    with pytest.raises(ValueError, match="there is no view"):
        trained.with_views(["upside"])


def test_the_hash_is_the_files(saved):
    _, _, path = saved
    first = read_trained(path).sha256
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert len(first) == 64 and read_trained(path).sha256 != first


def test_a_link_that_is_moved_meanwhile_changes_nothing(saved, tmp_path):
    _, _, path = saved
    other = tmp_path / "other"
    other.mkdir()
    save_file({}, other / path.name)
    latest = tmp_path / "latest"
    latest.symlink_to(tmp_path)
    trained = read_trained(latest)
    latest.unlink()
    latest.symlink_to(other)
    assert trained.path.resolve() == path.resolve() and trained.sha256 == read_trained(path).sha256
    trained.build()


def test_a_file_that_is_a_link_belongs_to_the_folder_that_it_lies_in(saved, tmp_path):
    _, _, path = saved
    run = tmp_path / "run"
    run.mkdir()
    (run / path.name).symlink_to(path.rename(tmp_path / "0a1b2c"))
    trained = read_trained(run)
    assert trained.path.parent.resolve() == run and trained.sha256 == read_trained(run / path.name).sha256


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(AdapterError, match=r"holds no adapter\.safetensors or weights\.safetensors"):
        read_trained(tmp_path)
    with pytest.raises(AdapterError, match="there is no"):
        read_trained(tmp_path / "nowhere")


def test_an_adapter_of_the_library_names_no_backbone(tmp_path):
    model = Backbone("test_efficientnet", "none").create(2)
    inject(model, rank=2)
    path = save_adapter(tmp_path / "adapter.safetensors", model)
    with pytest.raises(AdapterError, match="without a training"):
        read_trained(path)


def test_weights_of_another_shape_are_refused(tmp_path):
    backbone = Backbone("test_efficientnet", "none")
    setting = Setting(backbone, Full(), backbone.image_spec(), SPEC)
    header = {"graft": json.dumps({"metadata": metadata(setting, {})})}
    save_file({"conv_stem.weight": torch.zeros(1)}, tmp_path / "weights.safetensors", header)
    with pytest.raises(AdapterError, match="does not fit its backbone"):
        read_trained(tmp_path).build()
    (tmp_path / "weights.safetensors").write_bytes(b"cut")
    with pytest.raises(AdapterError, match="no file of a full fine-tuning"):
        read_trained(tmp_path)


def test_names_of_an_older_file_are_given_in_one_unicode_form(saved):
    setting, model, path = saved
    task = TaskSpec("classification", tuple(unicodedata.normalize("NFD", name) for name in ("Äpfel", "Öl")), None)
    again = setting.adaptation.save(path.parent, model, metadata(replace(setting, task=task), {}))
    assert read_trained(again).task.classes == ("Äpfel", "Öl")
