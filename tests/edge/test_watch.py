import os
import threading
import time

import numpy as np
import pytest
from PIL import Image

from src.edge import watch
from src.edge.inputs import find_source
from src.edge.walk import walk
from src.edge.watch import Watch


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watch, "INTERVAL", 0.05)


def picture(path, shade=90):
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(path)
    return path


def names(source, stop=None):
    return [frame.name for frame in source.frames(stop or threading.Event())]


def test_what_is_there_comes_oldest_first_and_idleness_ends_it(tmp_path):
    for age, name in ((30, "b.png"), (20, "a.png"), (10, "deep/c.jpg")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        path = picture(tmp_path / name)
        os.utime(path, (time.time() - age,) * 2)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"x")
    assert names(Watch(tmp_path, idle=0.2)) == ["b.png", "a.png", "deep/c.jpg"]


def test_a_picture_is_taken_once_it_is_completely_written(tmp_path):
    whole = picture(tmp_path / "whole.png").read_bytes()
    (tmp_path / "whole.png").unlink()
    ended, sizes = threading.Event(), []

    def write():
        with open(tmp_path / "slow.png", "wb", buffering=0) as file:
            for place in range(len(whole)):
                file.write(whole[place : place + 1])
                time.sleep(0.01)
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    for frame in Watch(tmp_path, idle=0.5).frames(threading.Event()):
        sizes.append((ended.is_set(), frame.read(16).shape))
    writer.join()
    assert sizes[-1] == (True, (8, 8, 3)) and len(sizes) == 1


def test_new_and_changed_pictures_come_and_old_ones_do_not_come_again(tmp_path):
    picture(tmp_path / "a.png")
    stop, seen = threading.Event(), []
    for frame in Watch(tmp_path, idle=0.5).frames(stop):
        seen.append(frame.name)
        if seen == ["a.png"]:
            picture(tmp_path / "b.png")
        elif seen == ["a.png", "b.png"]:
            picture(tmp_path / "a.png", shade=10)
            os.utime(tmp_path / "a.png", (5, 5))
    assert seen == ["a.png", "b.png", "a.png"]


def test_an_empty_file_is_not_there_yet(tmp_path):
    (tmp_path / "a.png").touch()
    assert names(Watch(tmp_path, idle=0.3)) == []


def test_a_folder_that_is_away_for_a_while_is_not_decided_again(tmp_path):
    folder, away, seen = tmp_path / "in", tmp_path / "away", []
    folder.mkdir()
    picture(folder / "a.png")

    def leave_and_return():
        folder.rename(away)
        time.sleep(0.3)
        away.rename(folder)
        picture(folder / "b.png")

    for frame in Watch(folder, idle=1).frames(threading.Event()):
        seen.append(frame.name)
        if seen == ["a.png"]:
            mover = threading.Timer(0.2, leave_and_return)
            mover.start()
    mover.join()
    assert seen == ["a.png", "b.png"]


def test_folders_in_each_other_are_held(tmp_path):
    watched = Watch(tmp_path / "in")
    assert watched.holds(tmp_path) and watched.holds(tmp_path / "in/out") and watched.holds(tmp_path / "in")
    assert not watched.holds(tmp_path / "out")


def test_stop_ends_it(tmp_path):
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    assert names(Watch(tmp_path), stop) == []


def test_only_a_folder_is_watched(tmp_path):
    with pytest.raises(ValueError, match="watch=true needs a folder"):
        find_source(str(picture(tmp_path / "a.png")), watch=True)
    assert isinstance(find_source(str(tmp_path), watch=True), Watch)


def test_what_cannot_be_read_is_counted_and_forgotten_when_it_gets_its_name(tmp_path, caplog):
    picture(tmp_path / "a.png").rename(tmp_path / "part")  # as an upload that takes its name at the end
    (tmp_path / "b.djvu").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "more").symlink_to(tmp_path.parent / f"{tmp_path.name}-else")
    (tmp_path / "more").resolve().mkdir()
    picture(tmp_path / "more/linked.png")
    seen, source = [], Watch(tmp_path, idle=0.5)
    for frame in source.frames(threading.Event()):
        seen.append(frame.name)
        if seen == ["more/linked.png"]:
            stop = time.monotonic() + 5
            while ", 2 skipped" not in source.left_out() and time.monotonic() < stop:
                source.unread.update(walk(tmp_path))
            assert "part: PNG by its first bytes: give it a name that ends in .png" in source.left_out()
            (tmp_path / "part").rename(tmp_path / "a.png")
    assert seen == ["more/linked.png", "a.png"]
    assert source.left_out() == f", 1 skipped ({tmp_path}/b.djvu: no format that Graft reads: save it as PNG)"
    assert "skipped: " in caplog.text


def test_a_folder_that_a_link_leads_to_is_held_too(tmp_path):
    for name in ("in", "out", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "in/copies").symlink_to("../out")
    assert Watch(tmp_path / "in").holds(tmp_path / "out/new") and not Watch(tmp_path / "in").holds(tmp_path / "other")
