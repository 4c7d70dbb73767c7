"""What the recipe takes from the data, as numbers."""

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from src.tasks import TrainerOptions
from src.training import recipe
from src.training.recipe import plan, plan_epochs, settle_symmetry
from tests.test_configs import composed


def data(images, batch=16):
    batches = max(1, images // batch)
    return SimpleNamespace(samples=lambda split: [split] * images, train_dataloader=lambda: [None] * batches)


def planned(images, **options):
    config = OmegaConf.create({"recipe": {}, "trainer": {"max_epochs": "auto"}})
    trainer = plan(config, TrainerOptions("auto", accelerator="cpu", **options), data(images))
    assert config.trainer.max_epochs == trainer.max_epochs
    return trainer.max_epochs, config.recipe


@pytest.mark.parametrize(
    ("images", "epochs"),
    [(6, 49), (40, 60), (100, 34), (150, 28), (319, 19), (650, 13), (1673, 8), (5000, 5), (20_000, 3), (10**6, 3)],
)
def test_few_images_are_seen_often_and_very_many_three_times(images, epochs):
    assert planned(images)[0] == epochs


def test_what_was_chosen_is_said_and_kept():
    why = "20 steps for each square root of the images"
    assert planned(150)[1] == {"epochs": f"150 images: 28 epochs of 9 steps ({why})"}
    assert planned(6)[1]["epochs"].startswith("6 images: 49 epochs of 1 step (")


def test_steps_count_as_the_trainer_takes_them():
    whole = planned(319)[0]
    assert planned(319, accumulate_grad_batches=2)[0] == plan_epochs(319, 10) > whole
    assert planned(319, limit_train_batches=10)[0] == planned(319, limit_train_batches=0.53)[0] == plan_epochs(319, 10)


def test_what_the_user_says_holds():
    config = OmegaConf.create({"recipe": {}, "trainer": {"max_epochs": 7}})
    assert plan(config, TrainerOptions(7), data(100)).max_epochs == 7
    assert planned(100, max_steps=20) == (-1, {})
    assert config.recipe == {}
    assert planned(100, fast_dev_run=True) == (1, {})


@pytest.mark.parametrize("symmetry", ["auto", "none"])
def test_the_symmetry_that_is_found_changes_the_augmentation(symmetry, monkeypatch):
    config = composed("data=folder", "data.root=x", f"data.augment.symmetry={symmetry}")
    images = SimpleNamespace(augment="as it was")
    found = SimpleNamespace(name="horizontal", why="seen")
    monkeypatch.setattr(recipe, "examine_symmetry", lambda backbone, data: found)
    settle_symmetry(config, None, images)
    if symmetry == "none":
        assert images.augment == "as it was" and config.recipe == {}
    else:
        assert config.data.augment.symmetry == "horizontal" and len(images.augment) == 2
        assert config.recipe == {"symmetry": "flips and turns: horizontal (seen)"}


def test_nothing_is_looked_at_where_nothing_is_flipped(monkeypatch):
    config = composed("data=folder", "data.root=x", "data.augment._target_=src.data.transforms.none")
    monkeypatch.setattr(recipe, "examine_symmetry", lambda backbone, data: pytest.fail("looked"))
    settle_symmetry(config, None, SimpleNamespace(augment=None))
    assert config.data.augment.symmetry == "none" and config.recipe == {}
