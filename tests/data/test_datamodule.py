import hashlib
import os
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image

from src.data import FolderData
from src.data.transforms import crops
from tests.data.quality.test_alignment import COPIES, scene


def data(root, image, **options) -> FolderData:
    module = FolderData(root, image=image, **options)
    module.setup()
    return module


def spoil(module: FolderData, split: str, count: int = 1):
    paths = [sample.path for sample in module.samples(split)[:count]]
    for path in paths:
        path.write_bytes(path.read_bytes()[:60])
    return paths


def test_the_image_spec_takes_the_overrides(make_folder, image):
    root = make_folder(a=8, b=8)
    assert FolderData(root, image=image).image == image
    changed = FolderData(root, image=image, image_size=6, crop_pct=0.5, crop_mode="center", bit_depth=12).image
    assert (changed.size, changed.crop_pct, changed.crop_mode, changed.bit_depth) == ((6, 6), 0.5, "center", 12)
    with pytest.raises(ValueError, match="crop_pct must be above 0"):
        FolderData(root, image=image, crop_pct=0.0)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"num_workers": -1}, {"limit": 0}])
def test_counts_out_of_range_are_refused_by_name_at_once(image, options, tmp_path):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"data.{name}={value} must be {value + 1} or more"):
        FolderData(tmp_path, image=image, **options)


def test_findings_are_allowed_by_one_name_or_some_and_unknown_ones_are_refused_at_once(make_folder, image):
    root = make_folder(a=8, b=8)
    kinds = ("near_duplicates_across_splits", "groups_across_splits")
    assert FolderData(root, image=image, allow=kinds[0]).allow == kinds[:1]
    assert FolderData(root, image=image, allow=list(kinds)).allow == kinds
    assert FolderData(root, image=image, allow=None).allow == ()
    for wrong in ("near_duplicate_across_splits", [kinds[0], 3]):
        with pytest.raises(ValueError, match=r"is no finding that stops.*: choose from exact_dup"):
            FolderData(root, image=image, allow=wrong)


def test_every_image_is_in_one_split_and_counted(make_folder, image):
    module = data(make_folder(a=20, b=12), image)
    samples = [sample for split in ("train", "val", "test") for sample in module.samples(split)]
    assert sorted(sample.path for sample in samples) == sorted(sample.path for sample in module.index.samples)
    assert {split: len(module.samples(split)) for split in module.counts} == {"train": 21, "val": 3, "test": 8}
    assert module.counts["train"] == Counter(sample.label for sample in module.samples("train"))
    assert all(sample.split == "val" for sample in module.samples("val"))


class Doubted(FolderData):
    """A folder in which the first training image of class b could as well be an a."""

    def read(self):
        index = super().read()
        doubted = next(s for s in index.samples if (s.label, s.split) == ("b", "train"))
        samples = tuple(replace(s, soft=(0.5, 0.5)) if s is doubted else s for s in index.samples)
        return replace(index, samples=samples)


def test_training_aims_at_soft_labels_where_there_are_some_and_scores_at_the_class(make_folder, image):
    root = make_folder(train__a=4, train__b=4, val__a=2, val__b=2, test__a=2, test__b=2)
    module = Doubted(root, image=image, batch_size=8)
    module.setup()
    plain = data(root, image, batch_size=8)
    ((_, soft, index),) = module.train_dataloader()
    assert soft[index.argsort()].tolist() == [[1, 0]] * 4 + [[0.5, 0.5]] + [[0, 1]] * 3
    ((_, hard, _),) = module.loader("train")
    assert hard.tolist() == [0] * 4 + [1] * 4
    ((_, certain, index),) = plain.train_dataloader()
    assert certain[index.argsort()].tolist() == hard.tolist()
    assert module.fingerprint != plain.fingerprint


def test_split_seed_alone_decides_the_splits(make_folder, image):
    root = make_folder(a=20, b=20)
    tests = [data(root, image, seed=seed, split_seed=split).samples("test") for seed, split in [(0, 0), (1, 0), (0, 1)]]
    assert tests[0] == tests[1] != tests[2]


def test_a_loader_gives_plain_pixels_in_the_order_of_the_samples(make_folder, image):
    module = data(make_folder(a=12, b=12), image, batch_size=4, augment=crops())
    batches = list(module.loader("train"))
    samples = module.samples("train")
    images, targets, indices = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert indices.tolist() == list(range(len(samples)))
    assert [module.classes[target] for target in targets] == [sample.label for sample in samples]
    for picture, sample in zip(images, samples, strict=True):
        expected = Image.open(sample.path).resize((8, 8), Image.Resampling.BILINEAR)
        assert np.array_equal(picture.permute(1, 2, 0).numpy(), np.asarray(expected))
    for loader, split in [(module.val_dataloader(), "val"), (module.test_dataloader(), "test")]:
        assert sum(len(batch[1]) for batch in loader) == len(module.samples(split))


@pytest.mark.parametrize(("batch_size", "sizes"), [(4, [4, 4, 4]), (14, [14]), (32, [14])])
def test_only_a_last_batch_of_several_is_dropped(make_folder, image, batch_size, sizes):
    module = data(make_folder(a=11, b=11), image, batch_size=batch_size)
    assert len(module.samples("train")) == 14
    assert [len(batch[1]) for batch in module.train_dataloader()] == sizes


def test_loading_takes_no_random_number_of_the_training(make_folder, image):
    module = data(make_folder(a=8, b=8), image, augment=crops())
    state = torch.get_rng_state()
    list(module.train_dataloader())
    list(module.val_dataloader())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_limit_keeps_the_splits_of_the_whole(make_folder, image):
    root = make_folder(a=40, b=20)
    whole, part = data(root, image), data(root, image, limit=20)
    assert part.fingerprint == whole.fingerprint
    for split in ("train", "val", "test"):
        assert set(part.samples(split)) <= set(whole.samples(split))
        assert all(part.counts[split].values())
    assert sum(len(part.samples(split)) for split in part.counts) == 20
    with pytest.raises(ValueError, match="limit=5 is too few"):
        data(root, image, limit=5)


@pytest.mark.parametrize("on_error", ["auto", "skip"])
def test_a_broken_training_image_is_named_and_left_out(make_folder, image, caplog, on_error):
    root = make_folder(a=12, b=12)
    whole = data(root, image)
    paths = spoil(whole, "train", 4)
    module = data(root, image, on_error=on_error)
    assert [path for path, _ in module.left_out] == paths
    assert len(module.samples("train")) == len(whole.samples("train")) - 4
    assert len(next(iter(module.loader("train")))[1]) == len(module.samples("train"))
    assert f"4 of train: {paths[0]} (" in caplog.text
    assert str(paths[3]) not in caplog.text


@pytest.mark.parametrize(
    ("split", "on_error"), [("val", "auto"), ("test", "auto"), ("train", "stop"), ("test", "stop")]
)
def test_a_broken_image_stops_where_it_must_not_be_left_out(make_folder, image, split, on_error):
    root = make_folder(a=12, b=12)
    paths = spoil(data(root, image), split)
    with pytest.raises(ValueError, match=rf"1 of {split}: {paths[0]} \(.*data\.on_error=skip") as caught:
        data(root, image, on_error=on_error)
    assert "\n" not in str(caught.value)


def test_skip_leaves_out_of_evaluation_unless_a_class_is_gone(make_folder, image):
    root = make_folder(a=20, b=20)
    whole = data(root, image)
    paths = spoil(whole, "test", 1)
    assert [path for path, _ in data(root, image, on_error="skip").left_out] == paths
    spoil(whole, "test", 5)
    with pytest.raises(ValueError, match="no image of class 'a' in test can be read"):
        data(root, image, on_error="skip")


def test_an_unknown_on_error_lists_the_known_ones(make_folder, image):
    with pytest.raises(ValueError, match="unknown on_error 'ignore': choose one of auto, skip, stop"):
        FolderData(make_folder(a=1), image=image, on_error="ignore")


class Recorder(LightningModule):
    """Keep every training batch and learn nothing."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen = []

    def training_step(self, batch):
        self.seen.append((self.current_epoch, batch[0].clone(), batch[2].tolist()))
        return self.layer(torch.ones(1, 1)).sum()

    def validation_step(self, batch):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.0)


def fit(module, callbacks=(), resume=None):
    recorder = Recorder()
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        accelerator="cpu", max_epochs=3, callbacks=[*callbacks], enable_checkpointing=bool(callbacks), **options
    )
    trainer.fit(recorder, module, ckpt_path=resume)
    return recorder.seen


@pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*LeafSpec:FutureWarning",
    "ignore:Be aware that when using `ckpt_path`",
)
@pytest.mark.parametrize("after_train", [True, False])
def test_a_resumed_training_sees_what_an_unbroken_one_sees(make_folder, image, tmp_path, after_train):
    root = make_folder(a=12, b=12)
    options = {"batch_size": 5, "augment": crops(), "seed": 4}
    folder = tmp_path.parent / f"{tmp_path.name}-checkpoints"
    keep = ModelCheckpoint(folder, "{epoch}", save_top_k=-1, save_on_train_epoch_end=after_train)
    unbroken = fit(data(root, image, **options), [keep])
    torch.rand(7)
    resumed = fit(data(root, image, **options), resume=folder / "epoch=0.ckpt")
    rest = [item for item in unbroken if item[0] > 0]
    assert [(epoch, indices) for epoch, _, indices in resumed] == [(epoch, indices) for epoch, _, indices in rest]
    assert len({tuple(indices) for _, _, indices in unbroken}) == len(unbroken) == 9
    assert all(torch.equal(left[1], right[1]) for left, right in zip(resumed, rest, strict=True))


@pytest.fixture
def copied(tmp_path, image):
    """Two classes of 30 scenes; a/029 is a/000, compressed and brighter."""
    for number, label in enumerate("ab"):
        (tmp_path / label).mkdir()
        for index in range(30):
            scene(100 * number + index).save(tmp_path / label / f"{index:03}.png")
    COPIES["brighter"](scene(0)).save(tmp_path / "a/029.jpg", quality=60)
    (tmp_path / "a/029.png").unlink()
    return tmp_path


def together(data):
    of = {sample.path.name: sample.split for sample in data.collection().samples if sample.label == "a"}
    return of["000.png"] == of["029.jpg"]


def test_equal_pictures_stay_together_whatever_the_seed(copied, image):
    parted = []
    for seed in range(12):
        data = FolderData(copied, image=image, split_seed=seed)
        data.setup()
        assert len(data.duplicates.near) == 1 and together(data)
        parted.append(data.collection().parted)
    assert set(parted) == {0, 1}  # some seeds would have parted them


def test_a_quick_run_drops_one_of_equal_pictures_that_its_splits_part(copied, image):
    for seed in range(12):
        data = FolderData(copied, image=image, split_seed=seed, limit=59)
        data.setup()
        collection = data.collection()
        assert not collection.across(data.duplicates.near)
        assert len(collection.samples) in (58, 59)


@pytest.mark.slow
def test_a_quick_run_drops_copies_and_chains_until_nothing_is_in_two_splits(copied, image):
    shutil.copy(copied / "a/029.jpg", copied / "a/030.jpg")  # a second file of a dropped picture
    COPIES["gamma"](scene(0)).save(copied / "a/028.png")
    for seed in range(12):
        data = FolderData(copied, image=image, split_seed=seed, limit=61)
        data.setup()
        assert not data.collection().across(data.duplicates.near + data.duplicates.exact)
        gone = {path.name for path in (copied / "a").iterdir()} - {s.path.name for s in data.collection().samples}
        assert gone <= {"000.png", "028.png", "029.jpg", "030.jpg"}


def test_a_quick_run_drops_one_of_two_copies_that_were_kept_apart(tmp_path, make_folder, image):
    root = make_folder(parts__a=12, parts__b=12) / "parts"
    shutil.copy(root / "a/000.png", root / "a/copy.png")
    content = hashlib.sha256((root / "a/000.png").read_bytes()).hexdigest()
    file = tmp_path / "splits.csv"
    file.write_text(f"path,sha256,split\na/000.png,{content},train\na/copy.png,{content},test\n")
    assert data(root, image, split_file=str(file)).collection().across([(0, 12)])
    quick = data(root, image, split_file=str(file), limit=25)
    assert len(quick.digests) == 24 and not quick.duplicates.exact


def test_splits_in_a_file_are_extended(tmp_path, make_folder, write_image, image):
    root = make_folder(parts__a=20, parts__b=20) / "parts"
    file = tmp_path / "kept/splits.csv"

    def splits():
        data = FolderData(root, image=image, split_file=str(file))
        before = file.read_bytes() if file.exists() else None
        data.setup()
        assert (file.read_bytes() if file.exists() else None) == before  # to look is not to keep
        data.keep_splits()
        return {sample.path: sample.split for sample in data.collection().samples}

    first = splits()
    for number in range(20, 30):
        write_image(root / "a" / f"{number:03}.png", 5000 + number)
    second = splits()
    assert len(second) == 50 and all(second[path] == split for path, split in first.items())
    assert {split for path, split in second.items() if path not in first} == {"train", "val", "test"}


def test_names_that_are_no_utf8_are_cut_and_kept(tmp_path, make_folder, image):
    root = make_folder(parts__a=12, parts__b=12) / "parts"
    (root / "a/000.png").rename(os.fsdecode(os.fsencode(root) + b"/a/\xff.png"))
    first = data(root, image, split_file=str(tmp_path / "splits.csv"))
    first.keep_splits()
    other_seed = data(root, image, split_file=str(tmp_path / "splits.csv"), split_seed=7)
    assert other_seed.membership == first.membership


def test_a_fold_needs_both_numbers(image, make_folder):
    with pytest.raises(ValueError, match=r"data\.folds and data\.fold belong together"):
        FolderData(make_folder(a=4, b=4), image=image, folds=5)


def test_cut_splits_are_no_choice_for_judging_a_finished_model(tmp_path, make_folder, image):
    root = make_folder(parts__a=8, parts__b=8) / "parts"
    for options in ({"split_file": str(tmp_path / "s.csv")}, {"folds": 4, "fold": 0}):
        with pytest.raises(ValueError, match="all are judged: leave them out"):
            FolderData(root, image=image, **options).setup("test")


def test_membership_is_that_of_the_splits_alone(tmp_path, make_folder, image):
    root = make_folder(parts__a=12, parts__b=12) / "parts"

    def cut(**options):
        data = FolderData(root, image=image, **options)
        data.setup()
        return data.membership

    assert cut() == cut(seed=5) != cut(split_seed=5)
    here = cut()
    root = root.rename(tmp_path / "elsewhere")
    assert cut() == here != cut(test_fraction=0.4)
