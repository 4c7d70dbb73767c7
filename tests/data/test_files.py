import pytest

from src.data.files import write_text


def test_replaces_the_whole_file(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("an older and longer text")
    write_text(path, "neu \N{LATIN SMALL LETTER U WITH DIAERESIS}\n")
    assert path.read_bytes() == b"neu \xc3\xbc\n"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o444 == 0o444


def test_a_failed_write_leaves_the_older_file_and_nothing_beside(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("older")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "bad \udcff")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_rename_leaves_nothing_beside(tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "page.html", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
