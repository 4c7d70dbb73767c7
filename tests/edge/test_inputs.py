import os

import pytest

from src.edge.inputs import find_images

PICTURES = ["b.PNG", "a.jpg", "deep/er/c.Tiff", "deep/d.webp"]
OTHERS = ["notes.txt", "Thumbs.db", "._a.jpg", "clip.mp4", "deep/png", "deep/labels.csv"]


@pytest.fixture
def folder(tmp_path):
    for name in PICTURES + OTHERS:
        path = tmp_path / "parts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "parts"


def test_folder_gives_every_picture_below_it_sorted(folder):
    assert find_images(str(folder)) == sorted(folder / name for name in PICTURES)


def test_folder_named_like_a_picture_is_no_picture(folder):
    (folder / "album.jpg").mkdir()
    assert folder / "album.jpg" not in find_images(str(folder))


def test_file_is_taken_whatever_its_suffix(folder):
    assert find_images(str(folder / "notes.txt")) == [folder / "notes.txt"]


def test_relative_paths_stay_relative(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert [os.fspath(path) for path in find_images("deep")] == ["deep/d.webp", "deep/er/c.Tiff"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("*", ["a.jpg", "b.PNG"]), ("?.jpg", ["a.jpg"]), ("**/[cd].*", ["deep/d.webp", "deep/er/c.Tiff"])],
)
def test_pattern(folder, pattern, names):
    assert find_images(f"{folder}/{pattern}") == [folder / name for name in names]


def test_names_with_brackets_are_found_as_they_are(folder):
    (folder / "part[1]").mkdir()
    (folder / "part[1]" / "e[2].png").write_bytes(b"")
    assert find_images(str(folder / "part[1]")) == [folder / "part[1]" / "e[2].png"]
    assert find_images(str(folder / "part[1]" / "e[2].png")) == [folder / "part[1]" / "e[2].png"]


@pytest.mark.parametrize("source", ["rtsp://cam/1", "http://host/a.jpg", "https://host/a.jpg", "clip.MP4"])
def test_streams_are_refused(folder, source):
    with pytest.raises(ValueError, match="streams are not supported yet"):
        find_images(source if "://" in source else str(folder / source))


def test_nothing_found_says_what_was_looked_for(folder):
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no picture in '.*empty': looked for \.bmp, .*\.webp"):
        find_images(str(folder / "empty"))
    with pytest.raises(ValueError, match=r"no picture in '.*\*\.txt'"):
        find_images(str(folder / "*.txt"))
    with pytest.raises(ValueError, match=r"gone\.png' is not there: give"):
        find_images(str(folder / "gone.png"))
