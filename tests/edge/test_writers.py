import csv
import json
import os

import pytest

from src.atomic import WriteError
from src.edge.writers import open_lines
from src.spec import TaskSpec
from tests.test_atomic import files_up_to

TASK = TaskSpec("classification", ("bad", "good"))
LINES = [
    {"path": "a, b.png", "label": "good", "score": 0.75, "probabilities": {"bad": 0.25, "good": 0.75}, "ms": 1.5},
    {"path": "c.png", "error": "c.png: broken"},
]


def test_json_lines_go_to_stdout(capsys):
    with open_lines(None, TASK, ()) as write:
        for line in LINES:
            write(line)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == LINES


def test_a_csv_has_a_column_for_everything(tmp_path):
    with open_lines(str(tmp_path / "out/lines.csv"), TASK, ("frame",)) as write:
        write(LINES[0] | {"frame": 7})
        write(LINES[1] | {"frame": 8})
    with open(tmp_path / "out/lines.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "frame", "label", "score", "p_bad", "p_good", "ms", "error"]
    assert list(rows[0].values()) == ["a, b.png", "7", "good", "0.75", "0.25", "0.75", "1.5", ""]
    assert (rows[1]["error"], rows[1]["label"], rows[1]["frame"]) == ("c.png: broken", "", "8")


def test_verdicts_have_a_column_where_the_bundle_gives_them(tmp_path):
    with open_lines(str(tmp_path / "lines.csv"), TASK, (), has_verdict=True) as write:
        write(LINES[0] | {"verdict": "review"})
        write(LINES[1])
    with open(tmp_path / "lines.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "score", "p_bad", "p_good", "verdict", "ms", "error"]
    assert [row["verdict"] for row in rows] == ["review", ""]


def test_a_name_that_is_no_text_opens_from_the_csv(tmp_path):
    name = os.fsdecode(b"\xff, \xc3\xa9.png")
    with open_lines(str(tmp_path / "a.csv"), TASK, ()) as write:
        write({"path": name, "error": "broken\nin two lines"})
    with open(tmp_path / "a.csv", newline="", encoding="utf-8", errors="surrogateescape") as file:
        (row,) = csv.DictReader(file)
    assert (row["path"], row["error"]) == (name, "broken\nin two lines")


def test_values_have_a_column_of_their_own(tmp_path):
    with open_lines(str(tmp_path / "v.csv"), TaskSpec("regression", ("value",)), ()) as write:
        write({"path": "a.png", "value": 1.25, "ms": 2.0})
    assert (tmp_path / "v.csv").read_text() == "path,value,ms,error\na.png,1.25,2.0,\n"


def test_a_file_takes_its_name_at_the_end_and_keeps_what_came_before_a_fault(tmp_path):
    target = tmp_path / "lines.jsonl"
    with pytest.raises(KeyboardInterrupt), open_lines(str(target), TASK, ()) as write:
        write(LINES[0])
        assert not target.exists()
        raise KeyboardInterrupt
    assert json.loads(target.read_text()) == LINES[0]
    with open_lines(str(target), TASK, ()):
        pass
    assert json.loads(target.read_text()) == LINES[0]  # nothing was written, so nothing is replaced
    assert [path.name for path in tmp_path.iterdir()] == ["lines.jsonl"]


@pytest.mark.parametrize("name", ["pictures.png", "clip.mp4"])
def test_a_picture_is_never_overwritten_by_lines(tmp_path, name):
    with pytest.raises(ValueError, match="named like a picture"), open_lines(str(tmp_path / name), TASK, ()):
        pass
    with pytest.raises(ValueError, match="is a folder: name a file in it"), open_lines(str(tmp_path), TASK, ()):
        pass


def test_the_lines_of_a_run_that_was_killed_are_kept(tmp_path, caplog):
    (tmp_path / ".lines.jsonl.partial").write_text("of the first run\n")
    with open_lines(str(tmp_path / "lines.jsonl"), TASK, ()) as write:
        write(LINES[0])
    (kept,) = tmp_path.glob("lines.jsonl.unfinished-*")
    assert kept.read_text() == "of the first run\n" and str(kept) in caplog.text
    assert json.loads((tmp_path / "lines.jsonl").read_text()) == LINES[0]


@pytest.mark.parametrize("name", ["lines.csv", "lines.jsonl"])
def test_the_lines_of_a_live_source_can_be_read_at_once_and_go_on_after_those_of_before(tmp_path, name):
    target = tmp_path / name
    with open_lines(str(target), TASK, (), live=True) as write:
        write(LINES[0])
        whole = target.read_text()
        assert whole.endswith("\n") and "a, b.png" in whole
    target.write_text(whole + "cut")
    with open_lines(str(target), TASK, (), live=True) as write:
        write(LINES[1])
    first, cut, last = target.read_text().removeprefix(whole).partition("cut\n")
    assert (first, cut) == ("", "cut\n") and last.count("\n") == 1 and "c.png: broken" in last
    assert whole.count("path") == 1  # the header, or the key


def test_a_live_source_leaves_a_file_of_other_columns_as_it_is_and_no_empty_one(tmp_path):
    target = tmp_path / "lines.csv"
    target.write_text("path,value\n")
    with pytest.raises(ValueError, match="has the columns path, value, not those of this run"):
        with open_lines(str(target), TASK, (), live=True):
            pass
    assert target.read_text() == "path,value\n"
    with open_lines(str(tmp_path / "new.csv"), TASK, (), live=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["lines.csv"]


def test_a_device_is_written_into_and_a_link_stays_one(tmp_path):
    pipe, link, real = tmp_path / "pipe", tmp_path / "link.jsonl", tmp_path / "real.jsonl"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with open_lines(str(pipe), TASK, ()) as write:
        write(LINES[0])
    assert json.loads(os.read(reader, 10_000)) == LINES[0] and pipe.is_fifo()
    sheet = tmp_path / "pipe.csv"
    os.mkfifo(sheet)
    other = os.open(sheet, os.O_RDONLY | os.O_NONBLOCK)
    with open_lines(str(sheet), TASK, ()) as write:
        write(LINES[0])
    assert os.read(other, 10_000).startswith(b"path,label,score")
    os.close(reader)
    os.close(other)
    link.symlink_to(real)
    with open_lines(str(link), TASK, ()) as write:
        write(LINES[0])
    assert link.is_symlink() and json.loads(real.read_text()) == LINES[0]


def test_two_runs_do_not_write_one_file(tmp_path):
    target = str(tmp_path / "lines.jsonl")
    with open_lines(target, TASK, ()) as write:
        write(LINES[0])
        with pytest.raises(ValueError, match=r"another run is writing .*: name another output"):
            with open_lines(target, TASK, ()):
                pass
    assert [path.name for path in tmp_path.iterdir()] == ["lines.jsonl"]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("name", ["lines.csv", "lines.jsonl"])
def test_a_full_disk_ends_in_an_error_that_names_the_file_and_in_a_whole_line(tmp_path, name, live):
    target, count = tmp_path / name, 0
    with (
        files_up_to(700),
        pytest.raises(WriteError, match=rf"{name} cannot be written \(File too large\)"),
        open_lines(str(target), TASK, (), live) as write,
    ):
        while True:
            write(LINES[0])
            count += 1
    text = target.read_text()
    assert text.endswith("\n") and text.count("\n") == count + name.endswith(".csv") > 3
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_half_a_line_of_a_run_that_was_killed_is_not_kept(tmp_path):
    (tmp_path / ".lines.jsonl.partial").write_text('{"path": "a.png"}\n{"pa')
    with open_lines(str(tmp_path / "lines.jsonl"), TASK, ()):
        pass
    (kept,) = tmp_path.glob("lines.jsonl.unfinished-*")
    assert kept.read_text() == '{"path": "a.png"}\n'


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for live in (False, True):
        with pytest.raises(WriteError, match=r"lines\.jsonl cannot be written \(File exists\): a file stands where"):
            with open_lines(str(tmp_path / "file" / "lines.jsonl"), TASK, (), live):
                pass
        with pytest.raises(WriteError, match=r"cannot be written \(File name too long\): .* choose a shorter one"):
            with open_lines(str(tmp_path / f"{'n' * 300}.jsonl"), TASK, (), live):
                pass


def test_a_file_that_is_no_table_is_left_as_it_is(tmp_path):
    (tmp_path / "a.csv").write_text("x" * 200_000)
    with pytest.raises(ValueError, match=r"a\.csv is no table .*: name another output"):
        with open_lines(str(tmp_path / "a.csv"), TASK, (), live=True):
            pass
    assert (tmp_path / "a.csv").stat().st_size == 200_000
