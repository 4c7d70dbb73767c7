import os

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from src.backbones import Backbone, create_backbone
from src.data import FolderData
from src.spec import TaskSpec
from src.tasks import (
    ClassificationTask,
    Lora,
    Setting,
    examine_labels,
    examine_symmetry,
    frozen,
    head_start,
    warmup_cosine,
)
from src.tasks.build import network_input
from src.tasks.head import linear_head
from src.tasks.head_start import FrozenFeatures
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
    checked = examine_labels(backbone, data)
    (suspect,) = checked.suspects
    sample = data.collection().samples[suspect.position]
    assert (sample.path.name, suspect.suggested) == ("wrong.png", "green")
    with monkeypatch.context() as patch:
        patch.setattr(frozen, "_compute", lambda *_: pytest.fail("looked again"))
        assert examine_labels(backbone, data) == checked
    (kept,) = data.cache.glob("features-*.npy")
    kept.write_bytes(kept.read_bytes()[:-5])
    assert examine_labels(backbone, data) == checked  # a file that was cut is made again


def test_features_are_those_of_the_pooled_backbone(data):
    backbone = Backbone("tf_efficientnet_lite0")
    model = backbone.create(0, (64, 64))
    (batch,) = data.pixels([5, 0])
    with torch.no_grad():
        expected = model(network_input(model, batch, data.image))
    np.testing.assert_allclose(frozen._features(backbone, data, [5, 0]), expected, atol=1e-4)


def test_the_label_check_and_the_heads_start_share_one_pass_and_no_bit_of_the_start_changes(data):
    backbone = Backbone("tf_efficientnet_lite0")
    setting = Setting(backbone, Lora(rank=2), data.image, TaskSpec("classification", data.classes))
    built = ClassificationTask(setting, optimizer=torch.optim.AdamW, scheduler=warmup_cosine)
    built.configure_model()
    alone, seen = FrozenFeatures(built.model, linear_head(built.model), data.image, data), []
    expected = [alone.split(name) for name in ("train", "val")]
    plain = frozen._compute(backbone.create(0, (64, 64)), data, list(range(48)), "identity")
    built.model.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    shared = built.frozen_features(data)
    checked = examine_labels(backbone, data, shared)
    assert [data.collection().samples[each.position].path.name for each in checked.suspects] == ["wrong.png"]
    assert sum(seen) == 48
    for name, (features, targets) in zip(("train", "val"), expected, strict=True):
        assert torch.equal(shared.split(name)[0], features) and torch.equal(shared.split(name)[1], targets)
    assert built.frozen_features(data) is shared and sum(seen) == 48
    np.testing.assert_allclose(shared.at(list(range(48))), plain, atol=1e-4)
    assert not list(data.cache.glob("features-*.npy"))  # where others look for the plain network's


def test_the_time_of_the_shared_pass_is_known_and_that_of_other_images_is_not_in_it(data, monkeypatch):
    model, clock = Backbone("test_efficientnet", "none").create(2, (64, 64)), iter(range(100))
    monkeypatch.setattr(head_start.time, "perf_counter", lambda: next(clock))
    shared = FrozenFeatures(model, linear_head(model), data.image, data)
    assert shared.seconds == 0
    shared.at(list(range(48)))
    assert shared.seconds == 2  # train and val, a tick each
    shared.split("train")
    assert shared.seconds == 2 and next(clock) == 4


def test_of_many_images_the_drawn_ones_are_taken_from_the_start(data):
    model = Backbone("tf_efficientnet_lite0").create(2, (64, 64))
    shared = FrozenFeatures(model, linear_head(model), data.image, data)
    every = shared.at(list(range(48)))
    np.testing.assert_array_equal(
        FrozenFeatures(model, linear_head(model), data.image, data).at([40, 3]), every[[40, 3]]
    )


def test_random_weights_see_nothing(data):
    checked = examine_labels(Backbone("test_efficientnet", "none"), data)
    assert checked.describe() == "none examined (the backbone has random weights)"
    assert examine_symmetry(Backbone("test_efficientnet", "none"), data).name == "all"


def test_blobs_may_be_turned_by_the_same_features_whatever_is_in_the_cache(data, monkeypatch):
    backbone, looked = Backbone("tf_efficientnet_lite0"), []
    examine_labels(backbone, data)  # of an audit: all images, in other batches
    computed = frozen._compute
    monkeypatch.setattr(frozen, "_compute", lambda *given: looked.append(given[3]) or computed(*given))
    assert examine_symmetry(backbone, data).name == "all"
    assert sorted(looked) == ["both", "horizontal", "identity", "rotate90"]
    looked.clear()
    assert examine_symmetry(backbone, data).name == "all" and not looked


def arrow(direction, index):
    """Draw an arrow somewhere: a wedge at one end of a bar."""
    rng = np.random.default_rng(index)
    image = Image.new("RGB", (96, 96), tuple(rng.integers(150, 250, 3).tolist()))
    draw, y, x = ImageDraw.Draw(image), int(rng.integers(30, 66)), int(rng.integers(14, 24))
    ink = tuple(rng.integers(0, 100, 3).tolist())
    draw.rectangle((x, y - 4, x + 56, y + 4), fill=ink)
    draw.polygon([(x + 66, y), (x + 40, y - 22), (x + 40, y + 22)], fill=ink)
    return image if direction == "right" else image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def test_arrows_may_not_be_mirrored(tmp_path):
    for direction in ("left", "right"):
        (tmp_path / "set" / direction).mkdir(parents=True)
        for index in range(40):
            arrow(direction, index + 1000 * (direction == "left")).save(tmp_path / "set" / direction / f"{index}.png")
    backbone = Backbone("tf_efficientnet_lite0")
    made = FolderData(tmp_path / "set", image=backbone.image_spec(), image_size=96)
    made.setup()
    assert examine_symmetry(backbone, made).name == "none"


def test_of_many_images_as_many_are_drawn_as_may_be(data, monkeypatch):
    looked = []
    monkeypatch.setattr(frozen, "_features", lambda _, data, at, **more: looked.append(at) or np.zeros((len(at), 3)))
    for most, drawn in ((24, 24), (47, 24), (48, 48), (100, 48)):
        monkeypatch.setattr(frozen, "MOST", most)
        checked = examine_labels(Backbone("tf_efficientnet_lite0"), data)
        assert len(looked[-1]) == drawn
        assert checked.reason.startswith(f"{drawn} of 48 images were drawn") == (drawn < 48)


def test_nothing_is_looked_at_where_nothing_can_be_read(data, monkeypatch):
    monkeypatch.setattr(data._used.pixels, "errors", dict.fromkeys(range(48), "cut short"))
    checked = examine_labels(Backbone("tf_efficientnet_lite0"), data)
    assert checked.describe() == "none examined (no image can be read)"


def test_other_weights_in_a_file_of_the_same_name_are_looked_through_anew(data, tmp_path):
    seen = []
    for seed in (1, 2):
        file = tmp_path / str(seed) / "weights.safetensors"
        file.parent.mkdir()
        save_file(create_backbone("test_efficientnet", "none", seed=seed)[0].state_dict(), file)
        seen.append(frozen._features(Backbone("test_efficientnet", str(file)), data, [0, 1]))
    assert not np.allclose(*seen) and len(list(data.cache.glob("features-*.npy"))) == 2


def test_the_newest_files_of_features_are_kept(data, monkeypatch):
    monkeypatch.setattr(frozen, "_compute", lambda model, data, at, view: np.zeros((len(at), 2), np.float32))
    for count in range(1, frozen.MOST_FILES + 3):
        frozen._features(Backbone("test_efficientnet", "none"), data, list(range(count)))
        for file in data.cache.glob("features-*.npy"):  # an hour later
            os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 3600))
    kept = sorted(len(np.load(file)) for file in data.cache.glob("features-*.npy"))
    assert kept == list(range(3, frozen.MOST_FILES + 3))


def test_features_in_use_are_the_last_to_leave(data, monkeypatch):
    monkeypatch.setattr(frozen, "_compute", lambda model, data, at, view: np.zeros((len(at), 2), np.float32))
    backbone = Backbone("test_efficientnet", "none")
    for count in range(1, frozen.MOST_FILES + 3):
        frozen._features(backbone, data, [0])  # each time again
        frozen._features(backbone, data, list(range(count)))
        for file in data.cache.glob("features-*.npy"):  # an hour later
            os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 3600))
    assert 1 in {len(np.load(file)) for file in data.cache.glob("features-*.npy")}


def test_features_of_a_cache_that_may_only_be_read_are_used(data, monkeypatch):
    backbone = Backbone("test_efficientnet", "none")
    first = frozen._features(backbone, data, [0, 1])

    def forbidden(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(frozen.os, "utime", forbidden)
    monkeypatch.setattr(frozen, "_compute", lambda *_: pytest.fail("looked again"))
    assert np.array_equal(frozen._features(backbone, data, [0, 1]), first)


def test_features_that_cannot_be_kept_only_warn(data, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frozen, "write_bytes", full)
    assert len(frozen._features(Backbone("test_efficientnet", "none"), data, [0, 1])) == 2
    assert "not kept for the next time: [Errno 28] No space left" in caplog.text
