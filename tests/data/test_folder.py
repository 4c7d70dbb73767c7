import logging

import pytest
from hydra.utils import instantiate

from src.data import FolderData
from src.errors import LinesError


def read(root, image, **options):
    return FolderData(root, image=image, **options).read()


def test_class_folders_are_read_at_any_depth_whatever_the_suffix_case(make_folder, image):
    root = make_folder(good=2, scratched=1, good__line2=1)
    (root / "good/000.png").rename(root / "good/000.PNG")
    listing = read(root, image)
    found = {(sample.path.relative_to(root).as_posix(), sample.label) for sample in listing.samples}
    assert found == {
        ("good/000.PNG", "good"),
        ("good/001.png", "good"),
        ("good/line2/000.png", "good"),
        ("scratched/000.png", "scratched"),
    }
    assert listing.classes == ("good", "scratched")
    assert {sample.split for sample in listing.samples} == {None}


def test_hidden_and_other_files_are_not_read(make_folder, image):
    root = make_folder(a=1, b=1, **{"a__.thumbs": 1, ".cache": 1})
    (root / "a/.000.png").write_bytes(b"")
    (root / "a/notes.txt").write_text("notes")
    assert len(read(root, image).samples) == 2


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_split_folders_are_respected(make_folder, image, val):
    folders = {f"{split}__{name}": 2 for split in ("train", val, "test") for name in "ab"}
    samples = read(make_folder(**folders), image).samples
    assert [sample.split for sample in samples].count("val") == 4
    assert {(sample.path.parts[-3], sample.split) for sample in samples} == {
        ("train", "train"),
        (val, "val"),
        ("test", "test"),
    }


def test_a_folder_beside_the_splits_is_named(make_folder, image, caplog):
    root = make_folder(train__a=1, train__b=1, test__a=1, unsorted__a=1)
    assert len(read(root, image).samples) == 3
    assert f"{root / 'unsorted'} lies beside" in caplog.text


@pytest.mark.parametrize(
    ("names", "positive"),
    [(("ok", "NG"), "NG"), (("defective", "functional"), "defective"), (("cat", "dog"), "dog"), (("bad", "ng"), "ng")],
)
def test_the_defect_of_two_classes_is_found_and_logged(make_folder, image, caplog, names, positive):
    caplog.set_level(logging.INFO)
    assert read(make_folder(**dict.fromkeys(names, 1)), image).positive == positive
    assert f"class {positive} counts as the defect" in caplog.text


def test_the_defect_can_be_chosen_and_is_none_with_more_classes(make_folder, image):
    root = make_folder(bad=1, good=1)
    assert read(root, image, positive="good").positive == "good"
    with pytest.raises(ValueError, match=r"positive='god'.*bad, good"):
        read(root, image, positive="god")
    make_folder(other=1)
    assert read(root, image).positive is None
    with pytest.raises(ValueError, match="must name one of two classes"):
        read(root, image, positive="bad")


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({}, r"is empty: put the images of each class into"),
        ({"a": 3}, r"one class only \(a\)"),
        ({"a": 3, "b": 0}, r"b has no images"),
        ({"train__a": 1, "train__b": 1, "test__c": 1}, r"class 'c' is in test but not in train"),
        ({"train__good": 1, "train__bad": 1, "test__goood": 1}, r"did you mean good\?"),
        ({"val__a": 1, "test__a": 1}, r"has no train folder beside test"),
        ({"train": 2, "test__a": 1}, r"train has images but no class folders"),
    ],
)
def test_a_wrong_layout_is_one_line_with_a_way_out(make_folder, image, folders, message):
    root = make_folder(**folders)
    for name in folders:
        (root / name.replace("__", "/")).mkdir(parents=True, exist_ok=True)
    with pytest.raises(ValueError, match=message) as caught:
        read(root, image)
    assert "\n" not in str(caught.value)


def test_images_without_class_folders_are_an_error(make_folder, image):
    root = make_folder(a=1)
    with pytest.raises(ValueError, match=r"has images but no class folders: put .*<class>/"):
        read(root / "a", image)


def test_a_class_that_the_command_line_reads_as_a_number_can_be_the_defect(make_folder, image):
    assert read(make_folder(**{"0": 2, "1": 2}), image, positive=0).positive == "0"


def test_a_root_that_is_no_folder_is_an_error(make_folder, image):
    root = make_folder(a=1)
    with pytest.raises(LinesError, match=r"data\.root=DIR") as caught:
        FolderData(None, image=image)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and "data=table data.table=FILE" in lines[1] and "data.path=USER/NAME" in lines[2]
    for wrong, message in [
        (root / "nowhere", "nowhere does not exist"),
        (root / "a/000.png", "000.png is not a folder"),
    ]:
        with pytest.raises(ValueError, match=rf"{message}: set data\.root=DIR"):
            FolderData(wrong, image=image)


def test_the_config_asks_for_a_root_and_keeps_the_whole_picture(make_folder, image, data_config):
    config = data_config("folder")
    with pytest.raises(ValueError, match=r"by data\.root=DIR"):
        instantiate(config)(image=image)
    data = instantiate(config, root=str(make_folder(a=8, b=8)), cache_dir=None)(image=image)
    data.setup()
    assert (data.image.crop_mode, data.image.crop_pct) == ("squash", 1.0)
    assert data.counts == {"train": {"a": 5, "b": 5}, "val": {"a": 1, "b": 1}, "test": {"a": 2, "b": 2}}


def test_classes_give_the_order_and_must_be_the_folders(make_folder, image):
    root = make_folder(high=10, low=10, middle=10)
    ordered = FolderData(root, image=image, classes=["low", "middle", "high"]).read()
    assert ordered.classes == ("low", "middle", "high")
    with pytest.raises(ValueError, match=r"data\.classes are low, high, and .* has the folders high, low, middle"):
        FolderData(root, image=image, classes=["low", "high"]).read()
