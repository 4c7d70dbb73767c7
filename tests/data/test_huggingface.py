import unicodedata

import pytest

from src.data import HuggingFaceData
from src.targets import instantiate

datasets = pytest.importorskip("datasets", reason="the hub extra is not installed")


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    """Keep the library's own cache in the test's folder, and away from the network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


@pytest.fixture
def make_part(make_folder):
    """Make a part of a data set whose pictures are bytes; labels -1 are not known."""

    def make(labels, first=0, names=("x", "y"), **columns):
        root = make_folder(source=first + len(labels))
        images = [(root / f"source/{first + n:03}.png").read_bytes() for n in range(len(labels))]
        features = {"photo": datasets.Image(), "kind": datasets.ClassLabel(names=list(names))}
        features |= {name: datasets.Value("string") for name in columns}
        rows = {"photo": [{"bytes": content, "path": None} for content in images], "kind": labels, **columns}
        return datasets.Dataset.from_dict(rows, features=datasets.Features(features))

    return make


def read(monkeypatch, image, tmp_path, parts, **options):
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: datasets.DatasetDict(parts))
    return HuggingFaceData("user/name", image=image, files_dir=tmp_path / "files", **options).read()


def test_pictures_are_written_as_they_were_and_found_again(monkeypatch, image, tmp_path, make_part):
    parts = {"train": make_part([0, 1, 1]), "validation": make_part([1], 3), "extra": make_part([0], 4)}
    index = read(monkeypatch, image, tmp_path, parts)
    found = [(sample.path.relative_to(index.root).as_posix(), sample.label, sample.split) for sample in index.samples]
    assert found == [
        ("train/000001.png", "x", "train"),
        ("train/000002.png", "y", "train"),
        ("train/000003.png", "y", "train"),
        ("validation/000001.png", "y", "val"),
    ]
    for number, sample in enumerate(index.samples):
        assert sample.path.read_bytes() == (tmp_path / f"source/{number:03}.png").read_bytes()
    assert index.root.parent == tmp_path / "files" and index.root.name.startswith("user-name-")
    times = [sample.path.stat().st_mtime_ns for sample in index.samples[1:]]
    index.samples[0].path.unlink()  # as a start that was broken off leaves it
    again = read(monkeypatch, image, tmp_path, parts)
    assert again.root == index.root and again.samples[0].path.is_file()
    assert [sample.path.stat().st_mtime_ns for sample in again.samples[1:]] == times


def test_a_local_folder_is_used_where_it_lies(make_folder, image, tmp_path):
    root = make_folder(f__train__a=4, f__train__b=4, f__test__a=2, f__test__b=2) / "f"
    index = HuggingFaceData(root, image=image, files_dir=tmp_path / "files").read()
    assert index.root == root and not (tmp_path / "files").exists()
    assert {sample.path for sample in index.samples} == set(root.rglob("*.png"))
    assert all(sample.path.parts[-3:-1] == (sample.split, sample.label) for sample in index.samples)


def test_a_folder_of_parquet_files_trains_by_its_config(make_part, image, tmp_path, data_config):
    (tmp_path / "p").mkdir()
    make_part([0, 1] * 10, group=[str(n // 4) for n in range(20)]).to_parquet(str(tmp_path / "p/train.parquet"))
    config = data_config("huggingface")
    given = {"path": str(tmp_path / "p"), "files_dir": str(tmp_path / "files"), "group_column": "group"}
    data = instantiate(config, **given)(image=image)
    data.setup()
    groups = [{sample.group for sample in data.samples(split)} for split in ("train", "val", "test")]
    assert set.union(*groups) == {"0", "1", "2", "3", "4"} and sum(map(len, groups)) == 5
    assert data.classes == ("x", "y") and data.positive == "y" and data.index.name == "p"


def test_grades_are_in_the_order_that_is_asked_for(monkeypatch, image, tmp_path, make_part):
    parts = {"train": make_part([0, 1, 1, 0])}
    assert not read(monkeypatch, image, tmp_path, parts).ordered
    index = read(monkeypatch, image, tmp_path, parts, classes=["y", "x"])
    assert index.ordered and index.classes == ("y", "x")
    with pytest.raises(ValueError, match=r"data\.classes are y, z, and user/name has the labels x, y: name each once"):
        read(monkeypatch, image, tmp_path, parts, classes=["y", "z"])


def test_names_that_the_command_line_reads_as_numbers_are_text(monkeypatch, image, tmp_path, make_part):
    part = make_part([0, 1], names=("0", "1")).rename_columns({"kind": "3"})
    options = {"label_column": 3, "splits": {2024: "train"}, "positive": 0, "name": 7}
    index = read(monkeypatch, image, tmp_path, {"2024": part}, **options)
    assert (index.classes, index.positive, index.name) == (("0", "1"), "0", "user/name (7)")
    with pytest.raises(ValueError, match="makes 2024 '1': choose train, val, test, calibration"):
        read(monkeypatch, image, tmp_path, {"2024": part}, splits={2024: 1})


def test_text_labels_and_named_splits(monkeypatch, image, tmp_path, make_part):
    parts = {"full": make_part([0, 0, 0], word=["b", "a", "b"]), "hidden": make_part([-1], 3, word=[None])}
    index = read(monkeypatch, image, tmp_path, parts, label_column="word", splits={"full": "train", "hidden": None})
    assert [sample.label for sample in index.samples] == ["b", "a", "b"] and index.classes == ("a", "b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_column": "kin"}, r"no column 'kin' \(did you mean kind\?\) but photo \(Image\), kind \(ClassLabel\)"),
        ({"image_column": "kind"}, "column 'kind' of user/name holds no images"),
        ({"splits": {"trian": "train"}}, r"names 'trian' \(did you mean train\?\)"),
        ({"splits": {"train": "tran"}}, r"makes train 'tran' \(did you mean train\?\)"),
        ({"splits": {"train": None}}, r"no train split but train, test: .*'data\.splits=\{NAME: train\}'"),
        ({}, r"row 2 of split test has no label: .*'data\.splits=\{test: null\}'"),
    ],
)
def test_a_wrong_choice_is_one_line(monkeypatch, image, tmp_path, make_part, options, message):
    parts = {"train": make_part([0, 1]), "test": make_part([0, -1], 2)}
    with pytest.raises(ValueError, match=message) as caught:
        read(monkeypatch, image, tmp_path, parts, **options)
    assert "\n" not in str(caught.value)


def test_columns_that_are_not_alone_are_listed(monkeypatch, image, tmp_path, make_part):
    part = make_part([0, 1])
    two = part.add_column("other", [0, 1], feature=datasets.ClassLabel(names=["p", "q"]))
    with pytest.raises(
        ValueError, match=r"has 2 columns that could be the label, .*other \(ClassLabel\): set data\.label"
    ):
        read(monkeypatch, image, tmp_path, {"train": two})
    with pytest.raises(ValueError, match=r"has no columns that could be the image, .*: set data\.image_column=NAME"):
        read(monkeypatch, image, tmp_path, {"train": part.remove_columns("photo")})


def test_a_hub_out_of_reach_is_one_line(image, tmp_path, monkeypatch):
    message = (
        r"user/name cannot be loaded \(.*\): check the name and the network.*huggingface-cli download.*data\.path=DIR"
    )
    with pytest.raises(ValueError, match=message) as caught:
        HuggingFaceData("user/name", image=image).read()
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"set data\.path=USER/NAME"):
        HuggingFaceData(None, image=image)


def test_a_missing_library_says_what_to_install(image, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(ValueError, match=r'pip install -e "\.\[hub\]"'):
        HuggingFaceData("user/name", image=image).read()


def test_what_a_local_folder_holds_and_the_library_leaves_out_is_told(make_folder, image, tmp_path):
    root = make_folder(f__a=4, f__b=4, else__a=2) / "f"
    (root / "a/more").symlink_to(tmp_path / "else/a")
    (root / "b/gone.png").symlink_to("nowhere.png")
    (root / "b/x.djvu").write_bytes(b"x")
    index = HuggingFaceData(root, image=image, files_dir=tmp_path / "files").read()
    used = {sample.path.relative_to(root).as_posix() for sample in index.samples}
    told = {path.relative_to(root).as_posix() for path, _ in index.skipped}
    assert used | told == {
        *(f"{label}/{number:03}.png" for label in "ab" for number in range(4)),
        *("a/more/000.png", "a/more/001.png", "b/gone.png", "b/x.djvu"),
    }
    assert not used & told


def test_labels_in_two_unicode_forms_are_one(monkeypatch, image, tmp_path, make_part):
    names = [unicodedata.normalize("NFD", "Äpfel"), "Öl"]
    index = read(monkeypatch, image, tmp_path, {"train": make_part([0, 1, 1], names=names)}, positive="Äpfel")
    assert index.classes == ("Äpfel", "Öl") and index.positive == "Äpfel"
    assert index.samples[0].label == "Äpfel"


def test_a_lot_to_judge_needs_no_train_split_and_no_second_class(monkeypatch, image, tmp_path, make_part):
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: datasets.DatasetDict({"test": make_part([1, 1])}))
    data = HuggingFaceData("user/name", image=image, files_dir=tmp_path / "files", positive="x")
    index = data.read_lot()
    assert [(sample.label, sample.split) for sample in index.samples] == [("y", "test")] * 2
    with pytest.raises(ValueError, match="has no train split but test"):
        data.read()
