import pytest
import torch

from src.backbones import Backbone
from src.benchmarks.forgetting import forgetting
from src.spec import TaskSpec
from src.tasks.build import build

BACKBONE, TASK = Backbone("test_efficientnet", "none"), TaskSpec("classification", ("a", "b", "c"))


@pytest.fixture
def measure():
    image = BACKBONE.image_spec()
    pixels = torch.randint(256, (4, 3, *image.size), dtype=torch.uint8)
    return lambda model: forgetting(model, BACKBONE, image, TASK, pixels)


def test_a_backbone_that_stayed_forgets_nothing_whatever_its_own_head(measure):
    model = build(BACKBONE, BACKBONE.image_spec(), TASK)
    torch.nn.init.ones_(model.get_classifier().weight)
    assert measure(model) == 0


def test_one_weight_or_one_running_mean_that_moved_is_seen(measure):
    for name in ("conv_stem.weight", "bn1.running_mean"):
        model = build(BACKBONE, BACKBONE.image_spec(), TASK)
        model.state_dict()[name][0] += 1
        assert measure(model) > 0, name
