import pytest

from src.data.listing import Listing, Sample
from src.data.membership import HEADER, read_membership, write_membership


@pytest.fixture
def listing(make_folder):
    root = make_folder(a=2, b=2)
    return Listing(
        "plates", root, tuple(Sample(path, path.parent.name) for path in sorted(root.rglob("*.png"))), ("a", "b"), None
    )


def test_what_was_written_is_read(listing, tmp_path):
    file = tmp_path / "kept" / "splits.csv"
    assert read_membership(file, listing) == {}
    write_membership(file, listing, ["train", "val", "test", "train"])
    assert read_membership(file, listing) == {0: "train", 1: "val", 2: "test", 3: "train"}
    assert file.read_text().splitlines()[0] == ",".join(HEADER)


def test_a_renamed_and_a_retouched_image_stay_and_a_lost_one_is_remembered(listing, tmp_path, write_image):
    file, samples = tmp_path / "splits.csv", listing.samples
    write_membership(file, listing, ["train", "val", "test", "train"])
    renamed = samples[1].path.rename(samples[1].path.with_name("renamed.png"))
    write_image(samples[2].path, 77)
    later = Listing("plates", listing.root, (Sample(renamed, "a"), samples[2]), ("a", "b"), None)
    assert read_membership(file, later) == {0: "val", 1: "test"}
    write_membership(file, later, ["val", "test"])
    assert len(file.read_text().splitlines()) == 6  # the two that are gone keep their place


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,split\n", "does not begin with"),
        ("path,sha256,split\na/000.png,00,holdout\n", "line 2"),
        ("path,sha256,split\na/000.png,00,val\na/000.png,00,test\n", "line 3"),
        ("path,sha256,split\na/000.png,00\n", "line 2"),
    ],
)
def test_a_file_that_is_no_table_of_splits_is_refused(listing, tmp_path, text, says):
    file = tmp_path / "splits.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=says):
        read_membership(file, listing)
