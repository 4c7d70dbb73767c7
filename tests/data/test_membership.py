import os
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from src.data.dataset_index import DatasetIndex, Sample
from src.data.membership import HEADER, read_membership, write_membership


@pytest.fixture
def index(make_folder):
    root = make_folder(a=2, b=2)
    return DatasetIndex(
        "plates", root, tuple(Sample(path, path.parent.name) for path in sorted(root.rglob("*.png"))), ("a", "b"), None
    )


def test_what_was_written_is_read(index, tmp_path):
    file = tmp_path / "kept" / "splits.csv"
    assert read_membership(file, index) == {}
    write_membership(file, index, ["train", "val", "test", "train"])
    assert read_membership(file, index) == {0: "train", 1: "val", 2: "test", 3: "train"}
    assert file.read_text().splitlines()[0] == ",".join(HEADER)


def test_a_renamed_and_a_retouched_image_stay_and_a_lost_one_is_remembered(index, tmp_path, write_image):
    file, samples = tmp_path / "splits.csv", index.samples
    write_membership(file, index, ["train", "val", "test", "train"])
    renamed = samples[1].path.rename(samples[1].path.with_name("renamed.png"))
    write_image(samples[2].path, 77)
    later = DatasetIndex("plates", index.root, (Sample(renamed, "a"), samples[2]), ("a", "b"), None)
    assert read_membership(file, later) == {0: "val", 1: "test"}
    before = file.read_text()
    write_membership(file, later, ["val", "test"])
    assert file.read_text().startswith(before)  # those that are gone keep their place
    digests = [each.digests[at] for each, at in ((index, 1), (later, 1))]
    new = [("a/renamed.png", digests[0], "val"), ("b/000.png", digests[1], "test")]
    assert file.read_text()[len(before) :] == "".join(",".join(row) + "\n" for row in new)


def test_a_content_that_was_replaced_is_known_when_it_comes_back(index, tmp_path, write_image):
    file, (first, *_) = tmp_path / "splits.csv", index.samples
    write_membership(file, index, ["train", "val", "test", "train"])
    old = first.path.read_bytes()
    write_image(first.path, 77)
    write_membership(
        file, DatasetIndex("plates", index.root, index.samples, ("a", "b"), None), ["train", "val", "test", "train"]
    )
    back = first.path.with_name("back.png")
    back.write_bytes(old)
    later = DatasetIndex("plates", index.root, (Sample(back, "a"), first), ("a", "b"), None)
    assert read_membership(file, later) == {0: "train", 1: "train"}


def test_copies_that_the_source_parts_are_known_by_their_paths(index, tmp_path):
    file, (first, second, *_) = tmp_path / "splits.csv", index.samples
    second.path.write_bytes(first.path.read_bytes())
    parted = DatasetIndex("plates", index.root, (first, second), ("a", "b"), None)
    write_membership(file, parted, ["train", "test"])
    assert read_membership(file, parted) == {0: "train", 1: "test"}
    before = file.read_bytes()
    write_membership(file, parted, ["train", "test"])
    assert file.read_bytes() == before


def test_runs_that_write_at_once_lose_nothing(tmp_path, write_image):
    file, count = tmp_path / "splits.csv", 12
    paths = [write_image(tmp_path / "a" / f"{number}.png", number) for number in range(count)]
    listings = [DatasetIndex("plates", tmp_path, (Sample(path, "a"),), ("a", "b"), None) for path in paths]
    with ThreadPoolExecutor(count) as threads:
        list(threads.map(lambda each: write_membership(file, each, ["val"]), listings))
    whole = DatasetIndex("plates", tmp_path, tuple(Sample(path, "a") for path in paths), ("a", "b"), None)
    assert read_membership(file, whole) == dict.fromkeys(range(count), "val")


def test_two_images_that_swapped_their_names_keep_the_split_of_their_content(index, tmp_path):
    file, (first, second, *_) = tmp_path / "splits.csv", index.samples
    write_membership(file, index, ["train", "val", "test", "train"])
    first.path.rename(tmp_path / "aside")
    second.path.rename(first.path)
    (tmp_path / "aside").rename(second.path)
    later = DatasetIndex("plates", index.root, index.samples, ("a", "b"), None)
    assert read_membership(file, later) == {0: "val", 1: "train", 2: "test", 3: "train"}


def test_what_another_run_wrote_meanwhile_is_not_changed(index, tmp_path):
    file = tmp_path / "splits.csv"
    write_membership(file, index, ["train", "val", "test", "train"])
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"a/001\.png in val, and this run would have it in test: another run"):
        write_membership(file, index, ["train", "test", "test", "train"])
    assert file.read_bytes() == before


def test_what_a_spreadsheet_makes_of_the_file_is_read(index, tmp_path):
    file = tmp_path / "splits.csv"
    write_membership(file, index, ["train", "val", "test", "train"])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n,,\r\n")
    assert read_membership(file, index) == {0: "train", 1: "val", 2: "test", 3: "train"}


def test_a_name_that_is_no_utf8_is_kept(tmp_path, write_image):
    path = write_image(Path(os.fsdecode(os.fsencode(tmp_path) + b"/a/\xff.png")), 1)
    odd = DatasetIndex("plates", tmp_path, (Sample(path, "a"),), ("a", "b"), None)
    write_membership(tmp_path / "splits.csv", odd, ["val"])
    assert read_membership(tmp_path / "splits.csv", odd) == {0: "val"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,split\n", "does not begin with"),
        ("path,sha256,split\na/000.png,00,holdout\n", "line 2"),
        ("path,sha256,split\na/000.png,00,val\na/000.png,00,test\n", "line 3"),
        ("path,sha256,split\na/000.png,00\n", "line 2"),
    ],
)
def test_a_file_that_is_no_table_of_splits_is_refused(index, tmp_path, text, says):
    file = tmp_path / "splits.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=says):
        read_membership(file, index)


def test_a_path_in_another_unicode_form_is_known(tmp_path, write_image):
    file, kept = tmp_path / "splits.csv", None
    for form in ("NFD", "NFC"):
        place = tmp_path / form / unicodedata.normalize(form, "Äpfel")
        samples = tuple(
            Sample(write_image(place / unicodedata.normalize(form, f"ü{number}.png"), number), "a") for number in (1, 2)
        )
        index = DatasetIndex("plates", tmp_path / form, samples, ("a", "b"), None)
        file.write_text(unicodedata.normalize("NFD", file.read_text()) if file.exists() else ",".join(HEADER) + "\n")
        write_image(samples[0].path, 77 + (form == "NFC"))  # retouched, so that it is known by its path alone
        if kept is not None:
            assert read_membership(file, index) == {0: "train", 1: "val"}
        write_membership(file, index, ["train", "val"])
        kept = file.read_text()
    assert len(kept.splitlines()) == 4  # the retouched image alone is new
