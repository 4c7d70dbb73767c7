from dataclasses import replace
from pathlib import Path

import pytest

from src.data.dataset_index import DatasetIndex, Sample
from src.data.splits import Fold, split
from src.data.splitting import Splitting


def index(root, count=20):
    samples = tuple(Sample(root / label / f"{number:03}.png", label) for label in "ab" for number in range(count))
    return DatasetIndex("parts", root, samples, ("a", "b"), None)


def test_the_choices_reach_the_cut(tmp_path):
    parts = index(tmp_path)
    names = Splitting(3, 0.2, 0.4, None, None).names(parts, [(0, 1)])
    assert names == split(
        parts.samples, parts.digests, tmp_path, seed=3, val_fraction=0.2, test_fraction=0.4, links=[(0, 1)]
    )
    fold = Splitting(3, 0.2, 0.4, Fold(4, 1), None).names(parts)
    assert fold == split(parts.samples, parts.digests, tmp_path, seed=3, val_fraction=0.2, fold=Fold(4, 1))


def test_what_was_kept_is_extended(tmp_path):
    kept = Splitting(0, 0.15, 0.25, None, tmp_path / "kept/splits.csv")
    few, more = index(tmp_path), index(tmp_path, 33)
    names = kept.names(few)
    kept.keep(few, names)
    other_seed = Splitting(9, 0.3, 0.1, None, tmp_path / "kept/splits.csv")
    again = dict(zip((s.path for s in more.samples), other_seed.names(more), strict=True))
    assert [again[sample.path] for sample in few.samples] == names


def test_a_split_that_contradicts_the_one_that_was_kept_is_refused(tmp_path):
    kept, parts = Splitting(0, 0.15, 0.25, None, tmp_path / "splits.csv"), index(tmp_path)
    names = kept.names(parts)
    kept.keep(parts, names)
    moved = replace(parts.samples[0], split="test" if names[0] != "test" else "val")
    with pytest.raises(ValueError, match=r"a/000\.png is in (test|val) by its source and in .* by data\.split_file"):
        kept.names(replace(parts, samples=(moved, *parts.samples[1:])))
    called_train = replace(parts, samples=tuple(replace(sample, split="train") for sample in parts.samples))
    assert kept.names(called_train) == names  # val and test were cut from what is called train


def test_nothing_is_kept_without_a_file(tmp_path):
    plain = Splitting(0, 0.15, 0.25, None, None)
    plain.keep(index(tmp_path), ["train"] * 40)
    assert list(tmp_path.iterdir()) == []


def test_folds_and_a_file_exclude_each_other():
    with pytest.raises(ValueError, match=r"leave out data\.split_file"):
        Splitting(0, 0.15, 0.25, Fold(5, 0), Path("splits.csv"))


def test_a_file_that_keeps_every_image_leaves_none_for_calibration(tmp_path):
    kept, parts = Splitting(0, 0.15, 0.25, None, tmp_path / "splits.csv"), index(tmp_path)
    kept.keep(parts, kept.names(parts))
    with pytest.raises(ValueError, match="keeps every image where it is, and none is left for calibration"):
        replace(kept, calibration_fraction=0.25).names(parts)
    more = replace(kept, calibration_fraction=0.25).names(index(tmp_path, 60))
    assert more.count("calibration") > 0


def test_calibration_is_kept_in_the_file_like_the_others(tmp_path):
    parts = index(tmp_path)
    cut = Splitting(0, 0.15, 0.25, None, tmp_path / "splits.csv", calibration_fraction=0.3)
    names = cut.names(parts)
    cut.keep(parts, names)
    assert ",calibration\n" in (tmp_path / "splits.csv").read_text()
    assert replace(cut, calibration_fraction=0.0, seed=4).names(parts) == names
