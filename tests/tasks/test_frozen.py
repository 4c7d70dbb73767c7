import numpy as np
import pytest
import torch

from src.backbones import Backbone
from src.data import FolderData
from src.tasks import find_suspects, frozen
from src.tasks.build import network_input
from tests.planted import TINTS, picture


@pytest.fixture
def data(tmp_path):
    """Two classes of 24, of which green/003 lies in the folder of the ripe ones."""
    for number, (label, tint) in enumerate(TINTS.items()):
        (tmp_path / "set" / label).mkdir(parents=True)
        for index in range(24):
            picture(1000 * number + index, tint).save(tmp_path / "set" / label / f"{index:03}.png")
    (tmp_path / "set/green/003.png").rename(tmp_path / "set/ripe/wrong.png")
    backbone = Backbone("tf_efficientnet_lite0")
    made = FolderData(
        tmp_path / "set", image=backbone.image_spec(), image_size=64, cache_dir=str(tmp_path / "cache"), batch_size=16
    )
    made.setup()
    return made


def test_a_wrong_label_is_found_and_the_features_are_kept(data, monkeypatch):
    backbone = Backbone("tf_efficientnet_lite0")
    (suspect,) = find_suspects(backbone, data)
    sample = data.collection().samples[suspect.position]
    assert (sample.path.name, suspect.suggested) == ("wrong.png", "green")
    with monkeypatch.context() as patch:
        patch.setattr(frozen, "_computed", lambda *_: pytest.fail("looked again"))
        assert find_suspects(backbone, data) == [suspect]
    (kept,) = data.cache.glob("features-*.npy")
    kept.write_bytes(kept.read_bytes()[:-5])
    assert find_suspects(backbone, data) == [suspect]  # a file that was cut is made again


def test_features_are_those_of_the_pooled_backbone(data):
    backbone = Backbone("tf_efficientnet_lite0")
    model = backbone.create(0, (64, 64))
    (batch,) = data.pixels([5, 0])
    with torch.no_grad():
        expected = model(network_input(model, batch, data.image))
    np.testing.assert_allclose(frozen._features(backbone, data, [5, 0]), expected, atol=1e-4)


def test_random_weights_see_nothing(data):
    assert find_suspects(Backbone("test_efficientnet", "none"), data) is None
