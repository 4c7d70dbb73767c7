from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from src.data import ElpvData, elpv
from src.targets import instantiate

elpv_dataset = pytest.importorskip("elpv_dataset", reason="the demo extra is not installed")
DATA = Path(elpv_dataset.__file__).parent / "data"
TABLE = np.genfromtxt(DATA / "labels.csv", dtype=None, encoding="ascii", names=["path", "probability", "type"])


def test_binary_labels_follow_the_probability(image):
    index = ElpvData(image=image).read()
    assert [sample.path for sample in index.samples] == [DATA / name for name in TABLE["path"]]
    expected = np.where(TABLE["probability"] > 0.5, "defective", "functional")
    assert [sample.label for sample in index.samples] == expected.tolist()
    assert (index.classes, index.positive) == (("functional", "defective"), "defective")
    assert all(sample.path.is_file() for sample in index.samples)
    assert index.licence == "CC BY-NC-SA 4.0"


def test_levels_are_the_four_probabilities(image):
    index = ElpvData("level", image=image).read()
    counts = Counter(sample.label for sample in index.samples)
    expected = np.unique(TABLE["probability"], return_counts=True)[1]
    assert [counts[name] for name in index.classes] == expected.tolist()
    assert index.positive is None


@pytest.mark.parametrize("target", ["defective", "level"])
def test_soft_labels_are_the_probability_of_the_defect_and_never_of_a_level(image, target):
    samples = ElpvData(target, soft_labels=True, image=image).read().samples
    if target == "level":
        assert {sample.soft for sample in samples} == {None}
    else:
        np.testing.assert_allclose([sample.soft[1] for sample in samples], TABLE["probability"])
        assert all(sum(sample.soft) == 1 for sample in samples)
    assert {sample.soft for sample in ElpvData(target, image=image).read().samples} == {None}


def test_strata_are_level_and_module_type(image):
    counts = Counter(sample.stratum for sample in ElpvData(image=image).read().samples)
    assert len(counts) == 8
    likely = np.isclose(TABLE["probability"], 2 / 3) & (TABLE["type"] == "mono")
    assert counts["likely-defective/mono"] == likely.sum()


def test_an_unknown_target_names_the_near_one(image):
    with pytest.raises(ValueError, match=r"'levels' \(did you mean level\?\).*defective, level"):
        ElpvData("levels", image=image)


def test_a_missing_package_says_what_to_install(image, monkeypatch):
    monkeypatch.setattr(elpv, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install -e "\.\[demo\]"'):
        ElpvData(image=image).read()


def test_the_config_keeps_the_border_and_a_quick_run_keeps_the_splits(image, data_config):
    config = data_config("elpv", 3)
    data = instantiate(config, limit=24, image_size=16, cache_dir=None)(image=image)
    data.setup()
    assert data.image.crop_pct == 1.0
    assert data.image.size == (16, 16)
    assert sum(sum(counts.values()) for counts in data.counts.values()) == 24
    batch, targets, _ = next(iter(data.train_dataloader()))
    assert batch.shape == (len(data.samples("train")), 3, 16, 16)
    assert targets.shape == (len(batch), 2) and torch.equal(targets.sum(1), torch.ones(len(batch)))
    assert {round(3 * value) for value in targets[:, 1].tolist()} <= {0, 1, 2, 3}
    _, hard, _ = next(iter(data.loader("train")))
    assert sorted(hard.unique().tolist()) == [0, 1]
