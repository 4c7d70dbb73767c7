import re
import unicodedata
from pathlib import Path

import pytest
import torch

from src.data import TableData
from src.targets import instantiate


@pytest.fixture
def write_table(make_folder):
    """Make a folder of images `i/a`, `i/b` and write the lines of a table beside it."""

    def write(*lines):
        root = make_folder(i__a=12, i__b=12)
        (root / "table.csv").write_text("\n".join(lines) + "\n")
        return root / "table.csv"

    return write


def rows(**more):
    """Return a line for each image: path, label, and the same more cells."""
    return [",".join([f"i/{label}/{number:03}.png", label, *more.values()]) for label in "ab" for number in range(12)]


def test_rows_become_samples(write_table, image):
    lines = rows()[:2] + rows()[12:13]
    ends = ("t1,train,2", ",Valid,", "t2,,0.5")
    table = write_table("path,label,group,split,weight", *map(",".join, zip(lines, ends, strict=True)))
    index = TableData(table, image=image).read()
    found = [(s.path, s.label, s.group, s.split, s.weight) for s in index.samples]
    root = table.parent
    assert found == [
        (root / "i/a/000.png", "a", "t1", "train", 2.0),
        (root / "i/a/001.png", "a", None, "val", 1.0),
        (root / "i/b/000.png", "b", "t2", None, 0.5),
    ]
    assert (index.name, index.root, index.classes, index.positive) == ("table", root, ("a", "b"), "b")


def test_columns_root_and_classes_are_as_told(write_table, image, monkeypatch):
    table = write_table("label,file,class", *(f"x,{line[2:]}" for line in rows()))
    monkeypatch.chdir(table.parent)
    options = {"columns": {"path": "file", "label": "class"}, "classes": ["b", "a"], "positive": "a"}
    index = TableData(table, Path("i"), image=image, **options).read()
    assert (index.classes, index.positive) == (("b", "a"), "a")
    assert index.samples[0].path == Path("i/a/000.png") and index.samples[0].label == "a"


def test_names_that_the_command_line_reads_as_numbers_are_text(write_table, image):
    table = write_table("path,3", *(line.replace(",a", ",0").replace(",b", ",1") for line in rows()))
    index = TableData(table, image=image, columns={"label": 3}, classes=[1, 0], positive=0).read()
    assert (index.classes, index.positive, index.samples[0].label) == (("1", "0"), "0", "0")


def test_groups_stay_together_and_given_splits_are_kept(write_table, image):
    lines = [f"{line},g{number % 12 // 2},{'test' if number % 12 < 4 else ''}" for number, line in enumerate(rows())]
    data = TableData(write_table("path,label,group,split", *lines), image=image)
    data.setup()
    splits = {split: {sample.group for sample in data.samples(split)} for split in ("train", "val", "test")}
    assert splits["test"] == {"g0", "g1"} and not splits["train"] & splits["val"]
    assert {split: len(data.samples(split)) for split in splits} == {"train": 12, "val": 4, "test": 8}


def test_weights_reach_the_training_batches_alone_with_mean_one(write_table, image):
    lines = [f"{line},{1 + 2 * (number % 2)}" for number, line in enumerate(rows())]
    data = TableData(write_table("path,label,weight", *lines), image=image, batch_size=64)
    data.setup()
    (batch,) = data.train_dataloader()
    given = torch.tensor([data.samples("train")[index].weight for index in batch[2]])
    torch.testing.assert_close(batch[3], given / given.mean())
    assert batch[3].dtype == torch.float32
    assert {len(item) for split in ("train", "val", "test") for item in data.loader(split)} == {3}
    same = TableData(write_table("path,label,weight", *(f"{line},7" for line in rows())), image=image)
    same.setup()
    assert same.weights() is None and len(next(iter(same.train_dataloader()))) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("file,label", "i/a/000.png,a"), r"no column 'path' but file, label: .*'data\.columns=\{path: NAME\}'"),
        (("path,lable", "i/a/000.png,a"), r"no column 'label' \(did you mean lable\?\)"),
        (("path,group", "i/a/000.png,3"), r"no column 'label' but path, group: say which is the label by"),
        (("path,labels", "i/a/000.png,"), "no label in any row"),
        (("path,labels", "i/a/000.png,a", "i/b/000.png,"), r"one class only \(a\): .* one class an image"),
        (("path,labels", "i/a/000.png,a|"), r"row 2 of .* has an empty label in 'a\|'"),
        (("path,labels,split", "i/a/000.png,a,", "i/b/000.png,a|b,val"), "class 'b' is in val but not in train"),
        (("path,value", "i/a/000.png,3", "i/b/000.png,much"), "row 3 of .* has the value 'much': give a number"),
        (("path,value", "i/a/000.png,nan"), "the value 'nan'"),
        (("path,value", "i/a/000.png,3", "i/b/000.png,3.0"), "every value is 3, so there is nothing to learn"),
        (("path,label,value", "i/a/000.png,a,3"), r"columns label and value: say which .* data\.target=label"),
        (("path,label", "i/a/000.png,"), "row 2 of .* has no label"),
        (("path,label", ",a"), "row 2 of .* has no path"),
        (("path,label", "i/a/000.png,a", "i/b/nope.png,b"), r"row 3 of .*: .*nope\.png is not there"),
        (("path,label", "i/a,a"), "i/a is no file"),
        (("path,label", "i/a/000.png,a", "i/b/../a/000.png,b"), "rows 2 and 3 name the same image"),
        (("path,label", "../a.png,a"), r"row 2 of .*: \.\./a\.png leads out of"),
        (("path,label", "/etc/passwd,a"), "row 2 of .*: /etc/passwd leads out of"),
        (("path,label,split", "i/a/000.png,a,tets"), r"unknown split 'tets' \(did you mean test\?\)"),
        (("path,label,weight", "i/a/000.png,a,heavy"), "row 2 of .* has the weight 'heavy'"),
        (("path,label,weight", "i/a/000.png,a,0"), "the weight '0': give a number above 0"),
        (("path,label,weight", "i/a/000.png,a,inf"), "the weight 'inf'"),
        (("path,label,weight", "i/a/000.png,a,1e39"), "the weight '1e39': give a number above 0, no larger than"),
        (("path,label,weight", "i/a/000.png,a,nan"), "the weight 'nan'"),
        (("path,label", "i/a/000.png,a"), r"one class only \(a\)"),
        (("path,label,split", "i/a/000.png,a,", "i/b/000.png,b,test"), "class 'b' is in test but not in train"),
        (
            ("path,label,split,group", "i/a/000.png,a,train,g", "i/b/000.png,b,test,g"),
            "group 'g' is in two splits, train in row 2 and test in row 3",
        ),
    ],
)
def test_a_wrong_table_is_one_line_with_a_way_out(write_table, image, lines, message):
    with pytest.raises(ValueError, match=message) as caught:
        TableData(write_table(*lines), image=image).read()
    assert "\n" not in str(caught.value)


def test_several_labels_a_row_are_kept_and_cut_by_the_rarest(write_table, image):
    cells = ["x|y", "y", "", "y|x"] * 6
    lines = [f"{line.split(',')[0]},{cell}" for line, cell in zip(rows(), cells, strict=True)]
    index = TableData(write_table("path,labels", *lines), image=image).read()
    assert (index.target, index.classes, index.positive) == ("labels", ("x", "y"), None)
    assert [each.labels for each in index.samples[:4]] == [("x", "y"), ("y",), (), ("y", "x")]
    assert [each.label for each in index.samples[:4]] == [
        "x",
        "y",
        "y",
        "x",
    ]  # the empty ones are few
    assert index.categories == ("x", "y")
    with pytest.raises(ValueError, match=r"row 2 of .* unknown label 'x': data.classes are y, z"):
        TableData(write_table("path,labels", *lines), classes=["y", "z"], image=image).read()


def test_values_are_kept_and_cut_by_their_range(write_table, image):
    lines = [f"{line.split(',')[0]},{number / 2},{line[-1]}" for number, line in enumerate(rows())]
    table = write_table("path,value,label", *lines)
    data = TableData(table, image=image, target="value")
    data.setup()
    assert (data.index.target, data.classes) == ("value", ("value",))
    assert data.index.categories == ("0 to 3.5", "4 to 7.5", "8 to 11.5")
    assert data.counts["test"] == {"0 to 3.5": 2, "4 to 7.5": 2, "8 to 11.5": 2}
    _, values, _ = next(iter(data.val_dataloader()))
    assert values.tolist() == [[each.value] for each in data.samples("val")]
    assert TableData(table, image=image, target="label").read().classes == ("a", "b")
    with pytest.raises(ValueError, match=r"no column 'labels' \(did you mean label\?\)"):
        TableData(table, image=image, target="labels").read()


def test_an_image_may_be_a_link_and_keeps_its_name(write_table, image, tmp_path):
    table = write_table("path,label", "link.png,a", f"{tmp_path}/root/b/000.png,b")
    (tmp_path / "root").symlink_to(tmp_path / "i")
    (tmp_path / "i" / "link.png").symlink_to(tmp_path / "i/a/000.png")
    (tmp_path / "i" / "out.png").symlink_to(tmp_path / "elsewhere.png")
    (tmp_path / "i/a/001.png").rename(tmp_path / "elsewhere.png")
    index = TableData(table, tmp_path / "root", image=image).read()
    assert [sample.path for sample in index.samples] == [tmp_path / "root/link.png", tmp_path / "root/b/000.png"]
    table = write_table("path,label", "out.png,a", "b/000.png,b")
    assert TableData(table, tmp_path / "root", image=image).read().inside == ("out.png", "b/000.png")


def test_known_classes_are_held_to(write_table, image):
    table = write_table("path,label", *rows())
    with pytest.raises(
        ValueError, match=r"row 14 of .* unknown label 'b' \(did you mean bb\?\): data.classes are a, bb"
    ):
        TableData(table, classes=["a", "bb"], image=image).read()
    with pytest.raises(ValueError, match=r"class 'c' of data\.classes has no row in train"):
        TableData(table, classes=["a", "b", "c"], image=image).read()


def test_a_wrong_option_says_what_to_do(write_table, image):
    table = write_table("path,label", *rows())
    for options, message in (
        ({"table": None}, r"no table is given: set data\.table=FILE"),
        ({"table": table, "root": table.parent / "nowhere"}, r"set data\.root=DIR"),
        ({"table": table, "columns": {"lable": "x"}}, r"maps 'lable' \(did you mean label\?\)"),
        ({"table": table, "target": "vlaue"}, r"data\.target='vlaue' \(did you mean value\?\)"),
    ):
        with pytest.raises(ValueError, match=message):
            TableData(**options, image=image)


def test_the_config_reads_the_table(write_table, image, data_config):
    config = data_config("table")
    table = write_table("file,label", *rows())
    data = instantiate(config, table=str(table), columns={"path": "file"})(image=image)
    data.setup()
    assert data.counts == {"train": {"a": 8, "b": 8}, "val": {"a": 1, "b": 1}, "test": {"a": 3, "b": 3}}


@pytest.fixture
def write_parquet(make_folder):
    """Make a folder of images and a Parquet file with the path of each beside it."""
    pyarrow = pytest.importorskip("pyarrow", reason="the hub extra is not installed")
    from pyarrow import parquet

    def write(**columns):
        root = make_folder(i__a=12)
        paths = [f"i/a/{number:03}.png" for number in range(12)]
        parquet.write_table(pyarrow.table({"path": paths, **columns}), root / "t.parquet")
        return root / "t.parquet"

    return write


def test_a_list_is_several_labels_and_never_a_class(write_parquet, image):
    lists = [["rust", "scab"], ["rust"], []] * 4
    index = TableData(write_parquet(labels=lists), image=image).read()
    assert index.classes == ("rust", "scab")
    assert [sample.labels for sample in index.samples[:3]] == [("rust", "scab"), ("rust",), ()]
    table = write_parquet(label=lists)
    with pytest.raises(ValueError, match=r"row 1 of .* has a list of 2 in the column label.*task=multilabel") as caught:
        TableData(table, image=image).read()
    (told,) = re.findall(r"'data\.columns=\{(.*)\}'", str(caught.value))
    columns = {name: None if own == "null" else own for name, own in (pair.split(": ") for pair in told.split(", "))}
    assert TableData(table, image=image, columns=columns).read().classes == ("rust", "scab")


def test_a_list_of_one_is_a_label_and_what_is_no_text_is_refused_where_it_is_used(write_parquet, image):
    label, boxes = [["a"], ["b"]] * 6, [{"x": 1}] * 12
    assert TableData(write_parquet(label=label, boxes=boxes), image=image).read().classes == ("a", "b")
    with pytest.raises(ValueError, match=r"row 1 of .* has a record in the column boxes, which is to be the group"):
        TableData(write_parquet(label=label, boxes=boxes), image=image, columns={"group": "boxes"}).read()


def test_one_number_in_two_spellings_is_refused_unless_both_are_classes(write_table, image):
    lines = [line.replace(",a", ",1").replace(",b", ",1.0") for line in rows()]
    table = write_table("path,label", *lines)
    with pytest.raises(ValueError, match=r"has the labels 1 and 1\.0, one number in two spellings: write one"):
        TableData(table, image=image).read()
    assert TableData(table, image=image, classes=[1, 1.0]).read().classes == ("1", "1.0")


def test_labels_that_differ_in_capitals_are_told(write_table, image, caplog):
    table = write_table("path,label", *(line.replace(",a", ",OK").replace(",b", ",ok") for line in rows()))
    assert TableData(table, image=image).read().classes == ("OK", "ok")
    assert "has the labels OK and ok, which count as two classes" in caplog.text


@pytest.mark.parametrize("disk", ["NFC", "NFD"])
def test_unicode_forms_of_paths_labels_and_columns_are_one(tmp_path, write_image, image, disk):
    folder = unicodedata.normalize(disk, "Bäume")
    lines = [unicodedata.normalize("NFC", "path,größe,gruppe")]
    for number in range(8):
        form = ("NFC", "NFD")[number % 2]
        write_image(tmp_path / folder / unicodedata.normalize(disk, f"ü{number}.png"), number)
        lines.append(
            unicodedata.normalize(form, f"Bäume/ü{number}.png,{'Äpfel' if number < 4 else 'Öl'},ö{number // 2}")
        )
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    told = {"label": unicodedata.normalize("NFD", "größe"), "group": "gruppe"}
    classes = [unicodedata.normalize("NFD", "Äpfel"), "Öl"]
    index = TableData(tmp_path / "t.csv", image=image, columns=told, classes=classes).read()
    assert index.classes == ("Äpfel", "Öl") and len({sample.group for sample in index.samples}) == 4
    assert all(sample.path.is_file() for sample in index.samples)


@pytest.mark.parametrize(
    ("column", "cells", "target", "classes"),
    [
        ("label", ["a"], "label", ("a",)),
        ("labels", ["", ""], "labels", ()),
        ("labels", ["a"], "labels", ("a",)),
        ("value", ["3", "3"], "value", ("value",)),
    ],
)
def test_a_lot_to_judge_needs_no_second_class_and_no_second_value(write_table, image, column, cells, target, classes):
    lines = [f"i/a/{number:03}.png,{cell},g,{'test' if number else 'train'}" for number, cell in enumerate(cells)]
    data = TableData(write_table(f"path,{column},group,split", *lines), image=image)
    index = data.read_lot()
    assert (index.target, index.classes, len(index.samples)) == (target, classes, len(cells))
    with pytest.raises(ValueError):
        data.read()


def test_a_table_that_was_moved_is_missed_before_its_folder(tmp_path, image):
    with pytest.raises(ValueError, match=r"gone/t\.csv does not exist: set data\.table=FILE"):
        TableData(tmp_path / "gone/t.csv", image=image)
