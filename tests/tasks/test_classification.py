from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from src.backbones import Backbone
from src.lora import injection_of
from src.spec import TaskSpec
from src.tasks import ClassificationTask, Full, Lora, Setting, warmup_cosine


def task(adaptation=None, views=("identity",), name="test_efficientnet", **options):
    backbone = Backbone(name, "none")
    spec = TaskSpec("classification", ("a", "b", "c"), None, views)
    setting = Setting(backbone, adaptation or Lora(rank=2, targets="dense"), backbone.image_spec(), spec)
    built = ClassificationTask(setting, optimizer=torch.optim.AdamW, scheduler=warmup_cosine, **options)
    built.configure_model()
    return built


def pixels(count=3):
    return torch.randint(0, 256, (count, 3, 160, 160), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_loss_is_smoothed_in_training_alone():
    built = task(label_smoothing=0.2)
    logits, targets = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    smoothed = F.cross_entropy(logits, targets, label_smoothing=0.2)
    torch.testing.assert_close(built.loss(logits, targets, smooth=True), smoothed)
    torch.testing.assert_close(built.loss(logits, targets), F.cross_entropy(logits, targets))


def test_soft_targets_weigh_the_classes():
    built, logits = task(label_smoothing=0.2), torch.randn(2, 3)
    soft = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
    smoothed = 0.8 * soft + 0.2 / 3
    assert torch.allclose(built.loss(logits, soft, smooth=True), -(smoothed * logits.log_softmax(1)).sum(1).mean())


def test_weights_scale_each_images_loss_and_ones_leave_it_as_it_is():
    built, logits = task(label_smoothing=0.2), torch.randn(3, 3)
    targets, weights = torch.tensor([0, 2, 1]), torch.tensor([0.5, 2.0, 0.5])
    smoothed = 0.8 * F.one_hot(targets, 3) + 0.2 / 3
    by_hand = [-(smoothed[n] * logits[n].log_softmax(0)).sum() * weights[n] for n in range(3)]
    torch.testing.assert_close(built.loss(logits, targets, weights, smooth=True), sum(by_hand) / 3)
    torch.testing.assert_close(built.loss(logits, targets, torch.ones(3)), built.loss(logits, targets))


def test_a_training_step_takes_the_weights_of_its_batch(monkeypatch):
    built = task().eval()
    monkeypatch.setattr(built, "log", lambda *_, **__: None)
    targets, weights = torch.tensor([0, 2, 1]), torch.tensor([0.5, 2.0, 0.5])
    each = F.cross_entropy(built(pixels()), targets, reduction="none")
    plain = built.training_step((pixels(), targets, torch.arange(3)), 0)
    weighted = built.training_step((pixels(), targets, torch.arange(3), weights), 0)
    torch.testing.assert_close(plain, F.cross_entropy(built(pixels()), targets))
    torch.testing.assert_close(weighted, (each * weights).sum() / 3)


def test_the_model_is_built_once_adapted_and_in_channels_last():
    built = task()
    model = built.model
    built.configure_model()
    assert built.model is model and injection_of(model) is not None
    assert built.images(pixels()).is_contiguous(memory_format=torch.channels_last)
    assert task(name="test_vit").images(pixels()).is_contiguous()


def test_forward_averages_the_views():
    built = task(views=("identity", "horizontal")).eval()
    x = pixels()
    with torch.no_grad():
        plain = built.model(built.images(x)), built.model(built.images(x.flip(3)))
        torch.testing.assert_close(built(x), (plain[0] + plain[1]) / 2)


def test_a_checkpoint_holds_what_is_learnt_and_no_more():
    for adaptation, whole in ((None, False), (Full(), True)):
        built = task(adaptation)
        checkpoint = {"state_dict": built.state_dict()}
        built.on_save_checkpoint(checkpoint)
        learnt = {name for name, parameter in built.named_parameters() if parameter.requires_grad}
        assert set(checkpoint["state_dict"]) == (set(built.state_dict()) if whole else learnt)
    with pytest.raises(ValueError, match="another model"):
        task().on_load_checkpoint(checkpoint)


def test_parameters_are_counted_without_the_adapters_in_the_total():
    built, full = task(), task(Full())
    counts, all_of_it = built.parameter_counts(), full.parameter_counts()
    assert all_of_it["trainable_parameters"] == all_of_it["total_parameters"] == counts["total_parameters"]
    assert counts["trainable_parameters"] == sum(p.numel() for p in built.parameters() if p.requires_grad)


def test_only_the_learning_parameters_are_optimised():
    built = task()

    class Steps:
        estimated_stepping_batches = 10

    built._trainer = Steps()
    held = built.configure_optimizers()["optimizer"].param_groups[0]["params"]
    assert [id(p) for p in held] == [id(p) for p in built.parameters() if p.requires_grad]


def test_full_fine_tuning_moves_the_norms_and_lora_does_not():
    for adaptation, moves in ((Full(), True), (None, False)):
        built = task(adaptation)
        before = {name: value.clone() for name, value in built.model.named_buffers() if "running" in name}
        built.model(built.images(pixels()))
        after = dict(built.model.named_buffers())
        assert any(not torch.equal(value, after[name]) for name, value in before.items()) == moves


def test_a_training_that_diverged_is_stopped():
    built = task().eval()
    with torch.no_grad():
        next(iter(built.model.parameters())).fill_(float("nan"))
    with pytest.raises(ValueError, match=r"diverged in epoch 0.*lower optimizer\.lr"):
        built.validation_step((pixels(), torch.tensor([0, 1, 2]), torch.arange(3)), 0)


def test_an_epoch_is_scored_with_the_two_before_it_also_after_a_resume(monkeypatch):
    built, logged = task(), {}
    built._trainer = SimpleNamespace(sanity_checking=False)
    monkeypatch.setattr(built, "log", lambda name, value, **_: logged.update({name: value}))
    monkeypatch.setattr(built, "log_dict", logged.update)
    found, targets = [], torch.tensor([0, 1, 2])
    for right in (3, 0, 3, 3):
        built.on_validation_epoch_start()
        built.val_figures.update(torch.eye(3)[targets if right else targets.roll(1)], targets)
        built.on_validation_epoch_end()
        found.append(logged["val/score"])
        checkpoint = {"state_dict": built.state_dict()}
        built.on_save_checkpoint(checkpoint)
        built.window.scores = []
        built.on_load_checkpoint(checkpoint)
    assert found == pytest.approx([1, 1 / 2, 2 / 3, 2 / 3]) and logged["val/balanced_accuracy"] == 1


def test_quarter_turns_need_a_square_input():
    backbone, spec = Backbone("test_efficientnet", "none"), TaskSpec("classification", ("a", "b"), None, ("rotate90",))
    wide = replace(backbone.image_spec(), size=(96, 160))
    with pytest.raises(ValueError, match="only square ones"):
        Setting(backbone, Lora(rank=2), wide, spec)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"optimizer": partial(torch.optim.AdamW, lr=-1.0)}, "Invalid learning rate"),
        ({"optimizer": partial(torch.optim.AdamW, betas=(2, 3))}, "Invalid beta"),
        ({"scheduler": partial(warmup_cosine, warmup=2)}, "parts from 0 to 1"),
        ({"scheduler": partial(warmup_cosine, nothing=2)}, "unexpected keyword"),
    ],
)
def test_what_an_optimizer_refuses_is_said_before_a_training(part, message):
    setting = task().setting
    built = ClassificationTask(setting, **{"optimizer": torch.optim.AdamW, "scheduler": warmup_cosine, **part})
    built.configure_model()
    with pytest.raises(ValueError, match=f"optimizer or scheduler: .*{message}"):
        built.require_steps()


def test_trying_validation_out_scores_no_epoch():
    built = task()
    built._trainer, built.score_error = SimpleNamespace(sanity_checking=True), 0.5  # of the fitted head
    built.val_figures.update(torch.eye(3), torch.tensor([0, 1, 2]))
    built.on_validation_epoch_end()
    assert not built.window.scores and not built.val_figures.logits and built.score_error == 0.5


@pytest.mark.parametrize(("limit", "scored"), [(1.0, True), (0.5, False), (2, False)])
def test_the_head_is_scored_only_on_what_the_epochs_are_scored_on(limit, scored):
    built = task()
    images, targets = pixels(6), torch.tensor([0, 1, 2, 0, 1, 2])
    data = SimpleNamespace(loader=lambda split: [(images, targets)], weights=lambda: None)
    built._trainer = SimpleNamespace(limit_val_batches=limit)
    built._start_head(data)
    assert (built.start_score is not None) == scored
