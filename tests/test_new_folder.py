from concurrent.futures import ThreadPoolExecutor

import pytest

from src.atomic import WriteError, new_folder


def test_a_folder_that_is_taken_gets_a_number(tmp_path):
    wanted = tmp_path / "runs" / "2026-01-01_12-00-00"
    assert [new_folder(wanted).name[19:] for _ in range(3)] == ["", "-2", "-3"]


def test_nobody_gets_the_folder_of_another(tmp_path):
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda _: new_folder(tmp_path / "run"), range(64)))
    assert len(set(made)) == 64 and all(folder.is_dir() for folder in made)


def test_a_file_in_the_way_is_not_waited_for(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(WriteError, match="a file stands where its folder should be"):
        new_folder(tmp_path / "runs" / "one")
