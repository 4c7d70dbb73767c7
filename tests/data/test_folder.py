import itertools
import logging
import os
import re
import shutil
import unicodedata

import pytest
from PIL import Image

from src.data import FolderData
from src.errors import LinesError
from src.targets import instantiate


def read(root, image, **options):
    return FolderData(root, image=image, **options).read()


def test_class_folders_are_read_at_any_depth_whatever_the_suffix_case(make_folder, image):
    root = make_folder(good=2, scratched=1, good__line2=1)
    (root / "good/000.png").rename(root / "good/000.PNG")
    index = read(root, image)
    found = {(sample.path.relative_to(root).as_posix(), sample.label) for sample in index.samples}
    assert found == {
        ("good/000.PNG", "good"),
        ("good/001.png", "good"),
        ("good/line2/000.png", "good"),
        ("scratched/000.png", "scratched"),
    }
    assert index.classes == ("good", "scratched")
    assert {sample.split for sample in index.samples} == {None}


def test_hidden_and_other_files_are_not_read(make_folder, image):
    root = make_folder(a=1, b=1, **{"a__.thumbs": 1, ".cache": 1})
    (root / "a/.000.png").write_bytes(b"")
    (root / "a/notes.txt").write_text("notes")
    assert len(read(root, image).samples) == 2


@pytest.mark.parametrize("val", ["val", "valid", "Validation", "val_images"])
def test_split_folders_are_respected(make_folder, image, val):
    folders = {f"{split}__{name}": 2 for split in ("train", val, "test") for name in "ab"}
    samples = read(make_folder(**folders), image).samples
    assert [sample.split for sample in samples].count("val") == 4
    assert {(sample.path.parts[-3], sample.split) for sample in samples} == {
        ("train", "train"),
        (val, "val"),
        ("test", "test"),
    }


def test_a_folder_beside_the_splits_is_named(make_folder, image):
    root = make_folder(train__a=1, train__b=1, test__a=1, unsorted__a=1)
    assert len(read(root, image).samples) == 3
    index = read(root, image)
    assert index.skipped == ((root / "unsorted/a/000.png", "beside the split folders"),)


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
        ({"TEST__a": 1, "TEST__b": 1, "lern__a": 1, "lern__b": 1}, r"TEST is a split .*: then rename lern to train$"),
        ({"test__a": 1, "a": 1, "b": 1}, r"test is a split: then move a, b into .*train$"),
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
    for nothing in ("", None):
        with pytest.raises(LinesError, match=r"data\.root=DIR") as caught:
            FolderData(nothing, image=image)
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


def test_every_picture_is_used_or_told_with_its_reason(make_folder, image, tmp_path):
    root = make_folder(set__a=2, set__b=2, set=1, linked__deep=2).joinpath("set")
    (root / "a/more").symlink_to(root.parent / "linked")
    (root / "a/back").symlink_to("..")
    (root / "b/gone.png").symlink_to("nowhere.png")
    Image.new("L", (9, 9)).save(root / "b/x.jfif", "JPEG")
    (root / "b/x.djvu").write_bytes(b"x")
    (root / "b/labels.txt").write_text("no picture")
    (root / "b/.DS_Store").write_bytes(b"x")
    index = read(root, image)
    assert index.inside == (
        *("a/000.png", "a/001.png", "a/more/deep/000.png", "a/more/deep/001.png"),
        *("b/000.png", "b/001.png", "b/x.jfif"),
    )
    assert [(path.relative_to(root).as_posix(), reason) for path, reason in index.skipped] == [
        ("000.png", "in no class folder"),
        ("a/back", "a folder that holds the link"),
        ("b/gone.png", "a link to nothing"),
        ("b/x.djvu", "no format that Graft reads: save it as PNG"),
    ]
    assert index.ignored == 2


def test_what_is_not_used_is_logged_and_left_out(make_folder, image, caplog):
    root = make_folder(a=8, b=8)
    (root / "a/gone.png").symlink_to("nowhere.png")
    data = FolderData(root, image=image)
    data.setup()
    assert f"1 files or folders are not used: {root}/a/gone.png: a link to nothing" in caplog.text
    assert data.left_out == [(root / "a/gone.png", "a link to nothing")]
    assert data.collection().skipped == data.index.skipped


def test_a_class_folder_that_cannot_be_read_stops(make_folder, image, monkeypatch):
    root, scan = make_folder(a=1, b=1, c=1), os.scandir

    def refuse(folder):
        if os.fspath(folder).endswith("c"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match=r"c is a folder that cannot be read \(Permission denied\): give the right"):
        read(root, image)


@pytest.mark.parametrize(
    ("folders", "classes", "splits"),
    [
        ({"Training__cat": 2, "Training__dog": 2, "Testing__cat": 1, "Testing__dog": 1}, "cat dog", "test train"),
        ({"train_set__a": 2, "train_set__b": 2, "val_images__a": 1, "val_images__b": 1}, "a b", "train val"),
        ({"TRAIN2017__a": 2, "TRAIN2017__b": 2, "val2017__a": 1, "test-data__b": 1}, "a b", "test train val"),
        ({"train__a": 2, "train__b": 2, "train": 1, "test__a": 1, "test": 1}, "a b", "test train"),
        ({"bus": 2, "car": 2, "train": 2}, "bus car train", "None"),
        ({"bus": 2, "car": 2, "train": 2, "train__steam": 3}, "car", "error"),
        ({"bus__old": 2, "car__new": 2, "train": 2}, "bus car train", "None"),
        (
            {"good__line1": 2, "good__line2": 2, "good": 5, "bad__line1": 1, "bad__line2": 1, "bad": 5},
            "bad good",
            "None",
        ),
        ({"good__images": 2, "bad__images": 2}, "bad good", "None"),
        ({"good__train": 2, "good__test": 2, "bad__train": 1}, "", "error"),
        ({"ok__may": 2, "ok__june": 2, "ng__may": 1}, "ng ok", "None"),
        ({"line1__ok": 2, "line1__nok": 2, "line2__ok": 2}, "", "error"),
        ({"line1__ok": 2, "line1__nok": 2, "line2__ok": 2, "line2__nok": 1}, "", "error"),
        ({"cat__train": 2, "cat__test": 2, "dog__train": 2, "dog__test": 1}, "", "error"),
        ({"hall1__train__a": 1, "hall1__test__a": 1, "hall2__train__b": 1, "hall2__test__b": 1}, "", "error"),
        ({"train__l1__a": 1, "train__l1__b": 1, "train__l2__a": 1, "train__l2__b": 1, "test__l1__a": 1}, "", "error"),
        ({"good": 2, "bad": 2, "test__good": 1}, "", "error"),
        ({"train__a": 2, "train__b": 2, "test": 2}, "", "error"),
    ],
)
def test_the_layout_is_read_where_there_is_one_reading(make_folder, image, folders, classes, splits):
    root = make_folder(**folders)
    if splits == "error":
        with pytest.raises(ValueError, match=r"data\.layout=(split/)?class") as caught:
            read(root, image)
        assert "\n" not in str(caught.value)
        return
    index = read(root, image)
    assert " ".join(index.classes) == classes
    assert " ".join(sorted({str(sample.split) for sample in index.samples})) == splits


def tree(*levels, count=9):
    """Return the folders of every combination of names, which stand in one text for each level."""
    return {"__".join(names): count for names in itertools.product(*map(str.split, levels))}


READINGS = [
    (tree("line1 line2", "ok nok"), {"class": "line1 line2", "folder/class": "nok ok"}),
    (
        tree("l0 l1 l2 l3 l4 l5", "ok nok"),
        {"class": "l0 l1 l2 l3 l4 l5", "folder/class": "nok ok"},
    ),
    (tree("cat dog", "train test"), {"class": "cat dog", "class/split": "cat dog"}),
    (tree("x y", "Train Test", "a b"), {"class": "x y", "folder/split/class": "a b"}),
    (
        tree("hall1 hall2", "x y z", "a b"),
        {"class": "hall1 hall2", "folder/class": "x y z", "folder/folder/class": "a b"},
    ),
    (
        tree("bottle cable", "train", "good") | tree("bottle cable", "train test ground_truth", "bad"),
        {"class": "bottle cable", "folder/split/class": "bad good"},
    ),
    (tree("train test", "x y", "a b"), {"split/class": "x y", "split/folder/class": "a b"}),
    (tree("line1 line2", "images", "ok nok"), {"class": "line1 line2", "folder/folder/class": "nok ok"}),
    (tree("fold1 fold2", "train", "a b"), {"class": "fold1 fold2", "folder/folder/class": "a b"}),
    (tree("cat dog", "images", "train test"), {"class": "cat dog", "class/folder/split": "cat dog"}),
    (tree("bus car train", "front side"), {"class": "bus car train", "split/class": "front side"}),
    (tree("train", "a b") | tree("unsorted"), {"class": "train unsorted", "split/class": "a b"}),
    (tree("train", "a b") | tree("test"), {"class": "test train", "split/class": "a b"}),
    (tree("good bad") | tree("test", "good"), {"class": "bad good test"}),
]


@pytest.mark.parametrize(("folders", "readings"), READINGS)
def test_each_reading_of_a_doubtful_layout_has_an_override_that_trains(make_folder, image, folders, readings):
    root = make_folder(**folders)
    with pytest.raises(ValueError, match=r"data\.layout=") as caught:
        read(root, image)
    assert {*re.findall(r"data\.layout=([a-z/]+)", str(caught.value))} == readings.keys()
    for layout, classes in readings.items():
        data = FolderData(root, image=image, layout=layout)
        data.setup()
        assert " ".join(data.classes) == classes and all(sum(counts.values()) for counts in data.counts.values())


def test_a_group_folder_stays_in_one_split(make_folder, image):
    root = make_folder(**{f"plant{number}__{label}": 3 for number in range(8) for label in ("ill", "sound")})
    data = FolderData(root, image=image, layout="group/class")
    data.setup()
    found = {name: {sample.group for sample in data.samples(name)} for name in ("train", "val", "test")}
    assert set().union(*found.values()) == {f"plant{number}" for number in range(8)}
    assert sum(map(len, found.values())) == 8


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("clas", r"has 'clas' \(did you mean class\?\): choose from class, split/class"),
        ("split", "must have class once"),
        ("class/class", "must have class once"),
        ("group/group/class", "group at most once"),
        ("split/class", "has no image in folders as data.layout=split/class has them"),
    ],
)
def test_a_layout_that_is_none_is_one_line(make_folder, image, layout, message):
    with pytest.raises(ValueError, match=message):
        read(make_folder(a=1, b=1), image, layout=layout)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_two_unicode_forms_are_one(write_image, image, tmp_path, form):
    apples, other = (
        unicodedata.normalize(form, "Äpfel"),
        unicodedata.normalize("NFC" if form == "NFD" else "NFD", "Äpfel"),
    )
    for number, place in enumerate((f"train/{apples}", f"test/{other}", "train/Birnen", "test/Birnen")):
        write_image(tmp_path / place / "é.png", number)
    index = read(tmp_path, image, classes=[other, "Birnen"], positive=apples)
    assert index.classes == (unicodedata.normalize("NFC", "Äpfel"), "Birnen") and index.positive == index.classes[0]
    assert [sample.label for sample in index.samples].count(index.classes[0]) == 2
    assert all(sample.path.is_file() for sample in index.samples)


def test_splits_and_fingerprint_do_not_depend_on_the_unicode_form_of_names(write_image, image, tmp_path):
    found = []
    for form in ("NFC", "NFD"):
        for number in range(20):
            name = unicodedata.normalize(form, f"{'äé'[number % 2]}/ü{number}.png")
            write_image(tmp_path / form / name, number)
        data = FolderData(tmp_path / form, image=image)
        data.setup()
        found.append((data.fingerprint, data.membership, data.classes))
    assert found[0] == found[1]


def test_two_folders_of_one_number_are_told_unless_both_are_named(make_folder, image, caplog):
    root = make_folder(**{"1": 1, "1.0": 1, "01": 1})
    with pytest.raises(ValueError, match=r"has the folders 1 and 1\.0, one number in two spellings"):
        read(root, image)
    assert read(root, image, classes=["01", "1", "1.0"]).classes == ("01", "1", "1.0")
    read(make_folder(OK=1, ok=1, **{"1": 1}), image, classes=["01", "1", "1.0", "OK", "ok"])
    shutil.rmtree(root / "1.0")
    read(root, image)
    assert "has the folders OK and ok, which count as two classes" in caplog.text


def test_what_an_empty_class_folder_holds_instead_is_said(make_folder, image):
    root = make_folder(a=1, b=1)
    (root / "c").mkdir()
    (root / "c/x.djvu").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"c has no images that can be read \(.*c/x\.djvu: no format that Graft reads"):
        read(root, image)


def test_a_folder_around_the_class_folders_is_told_with_the_root_that_works(make_folder, image):
    root = make_folder(parts__a=1, parts__b=1)
    with pytest.raises(ValueError, match=r"one class only \(parts\).*or set data\.root=(.*) if its folders") as caught:
        read(root, image)
    (inner,) = re.findall(r"data\.root=(\S+)", str(caught.value))
    assert read(inner, image).classes == ("a", "b")


@pytest.mark.parametrize(
    ("folders", "labels"),
    [
        ({"good": 2}, ["good", "good"]),
        ({"test__good": 1, "test__bad": 1}, ["bad", "good"]),
        ({"train__good": 1, "test__bad": 1}, ["good", "bad"]),
    ],
)
def test_a_lot_to_judge_needs_no_second_class_and_no_train(make_folder, image, folders, labels):
    root = make_folder(**folders)
    next(root.glob("**/good")).with_name("empty").mkdir()
    data = FolderData(root, image=image, positive="other", classes=["x", "y"])
    assert sorted(sample.label for sample in data.read_lot().samples) == sorted(labels)
    with pytest.raises(ValueError):
        data.read()


def test_a_lot_without_an_image_is_refused(make_folder, image):
    root = make_folder(a=1)
    (root / "a/000.png").unlink()
    with pytest.raises(ValueError, match="has no image in folders"):
        FolderData(root, image=image).read_lot()
