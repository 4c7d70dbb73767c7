import json
from types import SimpleNamespace

import pytest

from src.data.quality import check
from src.data.quality.duplicates import Duplicates
from src.training import gate, refuse, remove_refusal
from tests.data.quality.test_gate import collection

STOPPED = check(collection(duplicates=Duplicates(((0, 4),), (), 0, 0)))


@pytest.fixture
def page(monkeypatch):
    """Write the files of a page, without its pictures."""

    def write(folder, audit, index, bit_depth, date, command, name, marks):
        (folder / f"{name}.json").write_text(json.dumps(marks))
        (folder / f"{name}.html").write_text(command)

    monkeypatch.setattr(gate, "write_audit", write)
    return SimpleNamespace(index=None, image=SimpleNamespace(bit_depth=8))


def files(folder):
    return {path.name for path in folder.glob("[!.]*")}


def test_the_page_of_a_refusal_goes_with_the_next_training(tmp_path, page):
    told = refuse(tmp_path / "run", True, False, STOPPED, page, "train")
    assert told.startswith("the data gate stops this training (exact_duplicates_across_splits): see ")
    assert f"see {tmp_path / 'run/audit.html'}, or allow" in told
    assert files(tmp_path / "run") == {"audit.html", "audit.json"}
    remove_refusal(tmp_path / "run")
    assert not files(tmp_path / "run")
    remove_refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [{"passed": False}, {"passed": True}, []])
def test_a_page_that_the_user_made_stays(tmp_path, page, content):
    (tmp_path / "audit.json").write_text(json.dumps(content))
    (tmp_path / "audit.html").write_text("mine")
    for _ in range(2):
        assert f"see {tmp_path / 'audit-refused.html'}" in refuse(tmp_path, True, False, STOPPED, page, "train")
        assert len(files(tmp_path)) == 4
    remove_refusal(tmp_path)
    assert files(tmp_path) == {"audit.json", "audit.html"} and (tmp_path / "audit.html").read_text() == "mine"
    assert json.loads((tmp_path / "audit.json").read_text()) == content


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("another training is running")])
def test_data_are_refused_also_where_no_page_can_be_written(tmp_path, page, monkeypatch, error):
    def fail(folder, *_, **__):
        (folder / "audit.json").write_text('{"refused_training": true}')
        raise error

    monkeypatch.setattr(gate, "write_audit", fail)
    told = refuse(tmp_path / "run", True, False, STOPPED, page, "train")
    assert told.startswith("the data gate stops this training (exact_duplicates_across_splits), or allow what")
    assert told.endswith(f"; the page could not be written: {error}") and not (tmp_path / "run").exists()
    refuse(tmp_path, True, False, STOPPED, page, "train")
    assert not files(tmp_path)  # also of a folder that was there
    (tmp_path / "file").touch()
    assert "the page could not be written: " in refuse(tmp_path / "file/run", True, False, STOPPED, page, "train")
