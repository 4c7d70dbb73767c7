import os

import pytest

from src.deploy import exchange
from src.deploy.exchange import put_in_place


def folder(path, text):
    path.mkdir()
    (path / "file").write_text(text)
    return path


@pytest.fixture(params=["exchange", "two renames"])
def system(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(exchange, "_exchange", lambda one, other: False)


def test_a_new_name_is_taken(tmp_path, system):
    put_in_place(folder(tmp_path / "new", "2"), tmp_path / "edge")
    assert (tmp_path / "edge" / "file").read_text() == "2" and os.listdir(tmp_path) == ["edge"]


def test_an_earlier_folder_changes_places(tmp_path, system):
    folder(tmp_path / "edge", "1")
    put_in_place(folder(tmp_path / "new", "2"), tmp_path / "edge")
    assert (tmp_path / "edge" / "file").read_text() == "2" and (tmp_path / "new" / "file").read_text() == "1"
    assert sorted(os.listdir(tmp_path)) == ["edge", "new"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the exchange in one step is Linux's")
def test_linux_never_shows_a_moment_without_the_folder(tmp_path, monkeypatch):
    folder(tmp_path / "edge", "1")
    new = folder(tmp_path / "new", "2")
    monkeypatch.setattr(os, "rename", lambda *_: pytest.fail("renamed in two steps"))
    put_in_place(new, tmp_path / "edge")
    assert (tmp_path / "edge" / "file").read_text() == "2"
