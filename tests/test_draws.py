import threading

import pytest
import timm
import torch
from torch import nn

from src.backbones import create_backbone
from src.data.transforms import crops, defects
from src.draws import Draws

NAMES = ("test_efficientnet", "test_vit", "test_convnext")


def drawn():
    """Every way in which an initialisation or an augmentation draws."""
    start = torch.zeros(4, 4)
    yield from (
        torch.rand(3),
        torch.randn(2, 2),
        torch.randint(9, (3,)),
        torch.randperm(7),
        torch.bernoulli(start + 0.5),
    )
    yield torch.normal(0.0, 1.0, (3,))
    yield torch.multinomial(torch.ones(9), 4)
    for name in ("uniform_", "normal_", "exponential_", "random_", "bernoulli_", "log_normal_", "cauchy_"):
        yield getattr(torch.zeros(3), name)()
    for name in (
        "trunc_normal_",
        "kaiming_uniform_",
        "kaiming_normal_",
        "xavier_uniform_",
        "xavier_normal_",
        "orthogonal_",
    ):
        yield getattr(nn.init, name)(torch.zeros(4, 4))
    yield nn.Linear(3, 2).weight.detach()


def test_draws_are_those_after_a_seed_and_leave_the_generator_of_the_process_alone():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = list(drawn())
    before = torch.get_rng_state()
    with Draws(7):
        found = list(drawn())
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_a_draw_that_names_its_generator_keeps_it():
    with Draws(7):
        named = torch.rand(3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(named, torch.rand(3, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("name", NAMES)
def test_models_have_the_weights_that_they_had(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = timm.create_model(name, num_classes=2).state_dict()
    before = torch.get_rng_state()
    found = create_backbone(name, "none", 2, seed=3)[0].state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_that_build_models_and_draw_do_not_disturb_each_other():
    expected, found = create_backbone(NAMES[0], "none", 2, seed=3)[0].state_dict(), []

    def build():
        torch.rand(100)
        found.append(create_backbone(NAMES[0], "none", 2, seed=3)[0].state_dict())

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(state[key], value) for state in found for key, value in expected.items())


@pytest.mark.parametrize("augment", [crops, defects])
def test_augmentations_are_those_after_a_seed(augment):
    image, change = torch.arange(3 * 32 * 32, dtype=torch.uint8).reshape(3, 32, 32), augment()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        expected = change(image)
    before = torch.get_rng_state()
    with Draws(11):
        found = change(image)
    assert torch.equal(found, expected) and torch.equal(torch.get_rng_state(), before)


def test_models_are_built_on_no_device_too():
    with torch.device("meta"):
        assert create_backbone(NAMES[1], "none", 2)[0].head.weight.is_meta
