import glob
import os
import threading
from pathlib import Path

import pytest
from PIL import Image

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
    with pytest.raises(ValueError, match=r"no picture in '.*empty' or its folders that Pillow reads$"):
        find_images(str(folder / "empty"))
    with pytest.raises(ValueError, match=r"no picture in '.*\*\.txt'"):
        find_images(str(folder / "*.txt"))
    with pytest.raises(ValueError, match=r"gone\.png' is not there: give"):
        find_images(str(folder / "gone.png"))


def test_every_file_that_pillow_reads_is_found_and_the_others_are_counted(tmp_path):
    for suffix in ("jpg", "jfif", "jp2", "tga", "webp"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"a.{suffix}")
    for name in ("b.djvu", "c.djvu", "notes.txt", "Thumbs.db", ".DS_Store"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "gone").symlink_to("nowhere")
    source = find_source(str(tmp_path))
    assert [path.name for path in source.paths] == ["a.jfif", "a.jp2", "a.jpg", "a.tga", "a.webp"]
    assert source.left_out() == (
        f", 3 skipped ({tmp_path}/gone: a link to nothing; {tmp_path}/b.djvu and 1 more: no format that Graft reads: "
        "save it as PNG)"
    )


def test_a_pattern_counts_what_it_matches_alone(tmp_path):
    for name in ("a.jpg", "b.djvu", "c.djvu", "deep/d.djvu", "deep/e.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert ", 1 skipped" in find_source(f"{tmp_path}/[ab].*").left_out()
    assert ", 3 skipped" in find_source(f"{tmp_path}/**/*").left_out()
    assert find_source(f"{tmp_path}/**/e.*").left_out() == ""


def test_links_to_folders_are_followed_by_folders_and_patterns_and_circles_end(tmp_path):
    for name in ("set/a/1.png", "else/2.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "set/b").symlink_to("../else")
    for circle in ("one", "two", "three"):
        (tmp_path / "set/a" / circle).symlink_to("..")
    for source in (f"{tmp_path}/set", f"{tmp_path}/set/**/*.png", f"{tmp_path}/s*/**"):
        found = find_source(source)
        assert [path.relative_to(tmp_path).as_posix() for path in found.paths] == ["set/a/1.png", "set/b/2.png"]
        assert ", 3 skipped" in found.left_out() and "a folder that holds the link" in found.left_out()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("**", PICTURES),
        ("**/*.png", ["b.PNG"] if os.name == "nt" else []),
        ("**/d*", ["deep/d.webp"]),
        ("deep/**/*.*", ["deep/d.webp", "deep/er/c.Tiff"]),
        ("**/er/**", ["deep/er/c.Tiff"]),
        ("d*/**/er/*", ["deep/er/c.Tiff"]),
    ],
)
def test_patterns_match_as_globs_do(folder, pattern, names, monkeypatch):
    monkeypatch.chdir(folder)
    if not names:
        with pytest.raises(ValueError, match="no picture"):
            find_images(pattern)
        return
    assert [path.as_posix() for path in find_images(pattern)] == sorted(names)
    expected = {Path(match) for match in glob.glob(pattern, recursive=True)}
    assert set(find_images(pattern)) == {path for path in expected if path.as_posix() in PICTURES}


def test_nothing_but_skipped_files_is_one_line_with_the_reasons(tmp_path):
    (tmp_path / "a.djvu").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no picture in .* that Pillow reads, 1 skipped \(.*a\.djvu: no format"):
        find_images(str(tmp_path))


def test_further_pages_are_counted_once_read(tmp_path):
    page = Image.new("L", (8, 8))
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page, page])
    page.save(tmp_path / "b.gif")
    source = find_source(str(tmp_path))
    assert source.left_out() == ""
    assert [frame.read(16).shape for frame in source.frames(threading.Event())] == [(8, 8, 3)] * 2
    assert source.left_out() == ", 2 further pages not looked at"


@pytest.mark.parametrize(
    ("source", "message"), [("", "is empty"), (" ", "is empty"), ("/dev/null", "is neither a file")]
)
@pytest.mark.parametrize("find", [find_images, find_source])
def test_an_empty_name_is_not_the_folder_of_the_command_and_a_device_is_there(find, source, message):
    with pytest.raises(ValueError, match=message):
        find(source)
