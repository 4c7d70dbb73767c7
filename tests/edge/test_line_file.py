import errno
import os

import pytest

from src.atomic import WriteError
from src.edge.line_file import LineFile, cut_half_line
from tests.test_atomic import files_up_to


def test_a_line_that_does_not_fit_leaves_the_whole_ones_before_it(tmp_path):
    path = tmp_path / "lines.jsonl"
    with path.open("ab") as file, files_up_to(100):
        lines = LineFile(file.fileno(), path)
        lines.write("a" * 59 + "\n")
        with pytest.raises(WriteError, match=r"lines\.jsonl cannot be written \(File too large\)"):
            lines.write("b" * 59 + "\n")
        assert path.read_text() == "a" * 59 + "\n"
        lines.write("c" * 39 + "\n")
        lines.sync()
    assert path.read_text() == "a" * 59 + "\n" + "c" * 39 + "\n"


def test_what_another_process_has_added_is_never_cut(tmp_path, monkeypatch):
    path = tmp_path / "shared.log"
    with path.open("ab") as file:
        lines = LineFile(file.fileno(), path)

        def fail(descriptor, content):
            file.raw.write(b"half" + b" and a long line of another process\n")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", fail)
        with pytest.raises(WriteError):
            lines.write("half a line\n")
    assert path.read_text() == "half and a long line of another process\n"


def test_a_pipe_takes_lines_and_a_reader_that_left_is_no_fault_of_the_file():
    reader, writer = os.pipe()
    lines = LineFile(writer, "pipe")
    lines.write("line\n")
    assert os.read(reader, 100) == b"line\n"
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        lines.write("line\n")
    os.close(writer)


@pytest.mark.parametrize(
    ("held", "kept"), [(b"", b""), (b"half", b""), (b"a\nb\n", b"a\nb\n"), (b"a\n" + b"b" * 200_000, b"a\n")]
)
def test_half_a_line_at_the_end_is_cut(tmp_path, held, kept):
    (tmp_path / "a").write_bytes(held)
    cut_half_line(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == kept
