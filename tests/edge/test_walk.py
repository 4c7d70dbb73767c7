import os

import pytest
from PIL import Image

from src.edge.walk import sort_out, walk


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def names(root, paths):
    return [path.relative_to(root).as_posix() for path in paths]


def test_links_to_folders_are_followed_and_circles_are_not(tmp_path):
    root = tmp_path / "set"
    for place in ("set/a/1.png", "set/b/2.png", "else/3.png", "else/deep/4.png"):
        touch(tmp_path / place)
    (root / "a/more").symlink_to(tmp_path / "else")
    (root / "a/up").symlink_to("..")
    (root / "a/self").symlink_to(root / "a")
    (root / "above").symlink_to(tmp_path)
    (tmp_path / "else/back").symlink_to(root)
    found = walk(root)
    assert names(root, found.pictures) == ["a/1.png", "a/more/3.png", "a/more/deep/4.png", "b/2.png"]
    lost = dict(zip(names(root, [path for path, _ in found.lost]), [reason for _, reason in found.lost], strict=True))
    assert lost.keys() == {"a/up", "a/self", "above", "a/more/back"}
    assert all("a folder that holds the link" in reason for reason in lost.values())


def test_a_folder_that_is_there_twice_goes_by_its_real_name(tmp_path):
    touch(tmp_path / "z/1.png")
    (tmp_path / "a").symlink_to("z")
    found = walk(tmp_path)
    assert names(tmp_path, found.pictures) == ["z/1.png"] and found.lost == [
        (tmp_path / "a", "a folder that is read already")
    ]


def test_links_to_nothing_and_what_is_no_file_are_told(tmp_path):
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    reasons = {path.name: reason for path, reason in walk(tmp_path).lost}
    assert reasons.keys() == {"gone.png", "circle", "pipe.png"}
    assert reasons["gone.png"] == "a link to nothing" and reasons["pipe.png"] == "no regular file"


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    touch(tmp_path / "a/1.png")
    touch(tmp_path / "b/2.png")
    scan = os.scandir

    def refuse(folder):
        if os.fspath(folder).endswith("a"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = walk(tmp_path)
    assert names(tmp_path, found.pictures) == ["b/2.png"]
    assert found.lost == [(tmp_path / "a", "a folder that cannot be read (Permission denied)")]


def test_hidden_and_other_files_are_counted(tmp_path):
    for name in (".DS_Store", ".thumbs/1.png", "Thumbs.db", "notes.txt", "._1.png"):
        touch(tmp_path / name)
    Image.new("L", (4, 4)).save(tmp_path / "photo", "PNG")
    (tmp_path / "camera.dng").write_bytes(b"")
    found = walk(tmp_path)
    assert found.pictures == [] and found.ignored == 3
    skipped, ignored = sort_out(found.others)
    assert ignored == 2 and [path.name for path, _ in skipped] == ["camera.dng", "photo"]


@pytest.mark.parametrize("links", [12])
def test_many_links_between_folders_end(tmp_path, links):
    for number in range(links):
        touch(tmp_path / f"{number}/a.png")
        for other in range(links):
            (tmp_path / f"{number}/to{other}").symlink_to(f"../{other}")
    assert len(walk(tmp_path).pictures) == links


def test_a_folder_that_is_away_is_told(tmp_path):
    assert walk(tmp_path / "gone/in").lost == [
        (tmp_path / "gone/in", "a folder that cannot be read (No such file or directory)")
    ]
