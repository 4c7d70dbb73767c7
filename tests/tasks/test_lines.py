from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from src.backbones import Backbone
from src.spec import TaskSpec
from src.tasks import Full, Lora, Setting, build, metadata, read_lines

TWO = TaskSpec("classification", ("bad", "good"), "bad")
BACKBONE = Backbone("test_efficientnet", "none", "a licence", 3)
SIZE = (64, 64)


def saved(folder, name="line", adaptation=None, task=TWO, backbone=BACKBONE, size=SIZE):
    """Write the run of a line that learnt nothing, and return its folder."""
    setting = Setting(backbone, adaptation or Lora(rank=2, targets="dense"), backbone.image_spec(), task)
    setting = replace(setting, image=replace(setting.image, size=size))
    torch.manual_seed(0)
    model = build(backbone, setting.image, task)
    setting.adaptation.prepare(model)
    folder.mkdir()
    setting.adaptation.save(folder, model.eval(), metadata(setting, {"date": "today", "config": {"name": name}}))
    return str(folder)


def test_lines_go_by_the_names_of_their_runs(tmp_path):
    three = TaskSpec("classification", ("a", "b", "c"))
    save_file(BACKBONE.create(2).state_dict(), tmp_path / "base.safetensors")
    base = Backbone("test_efficientnet", str(tmp_path / "base.safetensors"), "a licence")
    other = saved(tmp_path / "2", "right", Lora(rank=4, targets="all"), three, base)
    paths = [saved(tmp_path / "1", "left", backbone=base), other]
    lines = read_lines(paths)
    assert list(lines) == ["left", "right"] and lines["right"].task.classes == ("a", "b", "c")


def test_lines_of_one_name_are_named_by_the_user(tmp_path):
    paths = [saved(tmp_path / "1"), saved(tmp_path / "2")]
    with pytest.raises(ValueError, match=r"two adapters are of the name line: name the lines yourself, adapters=\{"):
        read_lines(paths)
    assert list(read_lines(dict(zip(("a", "b"), paths, strict=True)))) == ["a", "b"]


def test_one_line_needs_no_shared_base(tmp_path):
    with pytest.raises(ValueError, match="for two lines or more"):
        read_lines([saved(tmp_path / "1")])


VALUE = TaskSpec("regression", ("sugar",), center=10.0, scale=2.0)


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ({}, {"backbone": Backbone("test_efficientnet", "none", "a licence", 4)}, "base differs"),
        ({}, {"backbone": Backbone("test_resnet", "none", "a licence", 3)}, "backbone differs"),
        ({}, {"adaptation": Lora(rank=2, targets="dense", fold_norms=False)}, "folded norms differs"),
        ({}, {"size": (96, 96)}, "size differs"),
        ({}, {"task": TaskSpec("multilabel", ("a", "b"))}, "kind of task differs"),
        ({}, {"task": replace(TWO, views=("identity", "horizontal"))}, "views differs"),
        ({"task": VALUE}, {"task": replace(VALUE, scale=3.0)}, r"scale differs \(2\.0 and 3\.0\)"),
    ],
)
def test_what_cannot_share_is_told_why(tmp_path, first, second, why):
    paths = [saved(tmp_path / "1", "left", **first), saved(tmp_path / "2", "right", **second)]
    with pytest.raises(ValueError, match=f"left and right share no base, their {why}"):
        read_lines(paths)


def test_lines_of_different_views_share_a_base_by_those_that_are_chosen_for_all(tmp_path):
    both = saved(tmp_path / "1", "left", task=replace(TWO, views=("horizontal", "identity")))
    paths = [both, saved(tmp_path / "2", "right")]
    with pytest.raises(ValueError, match=r"name those of all by views=\[identity\], or export them apart"):
        read_lines(paths)
    assert len(read_lines(paths, views=["identity", "horizontal"])) == 2  # the first keeps the order of its own
    lines = read_lines(paths, views=["identity"])
    assert {trained.task.views for trained in lines.values()} == {("identity",)}
    assert [trained.has_other_views for trained in lines.values()] == [True, False]


def test_a_full_fine_tuning_shares_nothing(tmp_path):
    paths = [saved(tmp_path / "1", "left"), saved(tmp_path / "2", "right", Full())]
    with pytest.raises(ValueError, match="every weight of right was trained"):
        read_lines(paths)


def test_a_kind_that_no_input_holds_is_refused(tmp_path):
    dora = Lora(rank=2, targets="dense", kind="dora")
    with pytest.raises(ValueError, match="right is a dora adapter"):
        read_lines([saved(tmp_path / "1", "left"), saved(tmp_path / "2", "right", dora)])
