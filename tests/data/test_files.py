import os

import pytest

from src.data.files import write_image


def test_an_image_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "a.png"
    write_image(path, b"whole")
    assert path.read_bytes() == b"whole"
    monkeypatch.setattr(os, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_image(path, b"other")
    assert path.read_bytes() == b"whole" and list(path.parent.iterdir()) == [path]
