import os
import threading

import pytest

from src.edge.inputs import find_images, find_source
from src.edge.stream import Camera, Video
from src.edge.watch import Watch

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


def test_files_are_read_in_order_under_names_that_differ(folder):
    source = find_source(str(folder))
    frames = list(source.frames(threading.Event()))
    assert [frame.name for frame in frames] == ["a.jpg", "b.PNG", "deep/d.webp", "deep/er/c.Tiff"]
    assert frames[1].path == str(folder / "b.PNG") and not source.live
    assert source.holds(folder) and source.holds(folder / "out") and not source.holds(folder.parent / "out")
    single = find_source(str(folder / "a.jpg"))
    assert [frame.name for frame in single.frames(threading.Event())] == ["a.jpg"]


def test_the_kind_of_source_is_told_by_its_name(folder, tmp_path):
    assert isinstance(find_source("rtsp://cam/1"), Camera) and isinstance(find_source("http://host/live"), Camera)
    assert isinstance(find_source("clip.MP4"), Video) and isinstance(find_source(str(folder), watch=True), Watch)
    (tmp_path / "shots.mp4").mkdir()
    with pytest.raises(ValueError, match="no picture in"):
        find_source(str(tmp_path / "shots.mp4"))


def test_nothing_found_says_what_was_looked_for(folder):
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no picture in '.*empty': looked for \.bmp, .*\.webp"):
        find_images(str(folder / "empty"))
    with pytest.raises(ValueError, match=r"no picture in '.*\*\.txt'"):
        find_images(str(folder / "*.txt"))
    with pytest.raises(ValueError, match=r"gone\.png' is not there: give"):
        find_images(str(folder / "gone.png"))
