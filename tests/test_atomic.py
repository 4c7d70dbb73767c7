import ast
import errno
import json
import os
import re
import resource
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from src import atomic
from src.atomic import (
    WriteError,
    is_unwritable,
    nothing_left,
    put_in_place,
    whole_file,
    whole_folder,
    write_bytes,
    write_files,
    write_json,
    write_link,
    write_text,
)

ROOT = Path(__file__).parents[1]


@contextmanager
def files_up_to(size):
    """Let the system refuse whatever would make a file larger, as a full disk does: what fits is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_json_has_no_number_for_becomes_null(tmp_path):
    write_json(tmp_path / "a.json", {"a": float("nan"), 2: [1.5, (float("inf"), "é")], "c": None})
    assert (tmp_path / "a.json").read_text().endswith("}\n")
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "2": [1.5, [None, "é"]], "c": None}


def test_a_folder_goes_with_the_failure_that_left_nothing_in_it(tmp_path):
    for name, content in (("empty", None), ("begun", "a")):
        (tmp_path / name).mkdir()
        with pytest.raises(OSError), nothing_left(tmp_path / name):
            (tmp_path / name / "file").write_text(content) if content else None
            raise OSError(errno.ENOSPC, "No space left on device")
    (tmp_path / "well").mkdir()
    with nothing_left(tmp_path / "well"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "well"]


def test_replaces_the_whole_file(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("an older and longer text")
    write_text(path, "neu \N{LATIN SMALL LETTER U WITH DIAERESIS}\n")
    assert path.read_bytes() == b"neu \xc3\xbc\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_for_those_that_the_user_lets_read_files(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_failed_write_leaves_the_older_file_and_nothing_beside(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("older")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "bad \udcff")
    with files_up_to(1000), pytest.raises(WriteError, match=r"page\.html cannot be written \(File too large\)"):
        write_bytes(path, bytes(2000))
    with pytest.raises(KeyboardInterrupt), whole_file(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("folder", r"folder cannot be written \(Is a directory\): a folder has its name, move it away"),
        ("gone/a.txt", r"a\.txt cannot be written \(No such file or directory\): make its folder first"),
        ("file/a.txt", r"a\.txt cannot be written \(Not a directory\): a file stands where its folder should be"),
        ("n" * 300, r"n cannot be written \(File name too long\): its name is too long, choose a shorter one"),
    ],
)
def test_an_error_names_the_file_and_what_to_do(tmp_path, place, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=message):
        write_text(tmp_path / place, "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("where", ["os.fsync", "os.replace"])
def test_a_file_takes_its_place_only_once_it_is_on_the_disk(tmp_path, monkeypatch, where):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(where, fail)
    with pytest.raises(WriteError, match=r"a\.bin cannot be written \(No space .*: make room on that disk") as caught:
        write_bytes(tmp_path / "a.bin", b"content")
    assert caught.value.errno == errno.ENOSPC and not list(tmp_path.iterdir())


def test_a_full_disk_is_told_from_other_faults():
    assert is_unwritable(OSError(errno.ENOSPC, "")) and is_unwritable(WriteError(errno.EROFS, "", "a"))
    assert not is_unwritable(OSError(errno.EIO, "")) and not is_unwritable(ValueError("full"))


def test_threads_that_write_one_file_leave_one_of_theirs(tmp_path):
    path, contents = tmp_path / "a.bin", [bytes([number]) * 50_000 for number in range(4)]
    threads = [threading.Thread(target=lambda own=own: [write_bytes(path, own) for _ in range(10)]) for own in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not path.exists() or path.read_bytes() in contents
    assert [each.name for each in tmp_path.iterdir()] == ["a.bin"]


def test_a_killed_writer_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("earlier")
    code = (
        "import os, signal; from pathlib import Path; from src.atomic import whole_file\n"
        f"with whole_file(Path({str(path)!r})) as file:\n"
        "    file.write(b'x' * 10**6); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert path.read_text() == "earlier"
    assert [each.name.startswith(".a.json.") for each in tmp_path.iterdir() if each != path] == [True]


def folder_with(path, text):
    path.mkdir()
    (path / "file").write_text(text)
    return path


@pytest.fixture(params=["exchange", "two renames"])
def system(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)


def test_a_new_name_is_taken(tmp_path, system):
    put_in_place(folder_with(tmp_path / "new", "2"), tmp_path / "edge")
    assert (tmp_path / "edge" / "file").read_text() == "2" and os.listdir(tmp_path) == ["edge"]


def test_an_earlier_folder_changes_places(tmp_path, system):
    folder_with(tmp_path / "edge", "1")
    put_in_place(folder_with(tmp_path / "new", "2"), tmp_path / "edge")
    assert (tmp_path / "edge" / "file").read_text() == "2" and (tmp_path / "new" / "file").read_text() == "1"
    assert sorted(os.listdir(tmp_path)) == ["edge", "new"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the exchange in one step is Linux's")
def test_linux_never_shows_a_moment_without_the_folder_with(tmp_path, monkeypatch):
    folder_with(tmp_path / "edge", "1")
    new = folder_with(tmp_path / "new", "2")
    monkeypatch.setattr(os, "rename", lambda *_: pytest.fail("renamed in two steps"))
    put_in_place(new, tmp_path / "edge")
    assert (tmp_path / "edge" / "file").read_text() == "2"


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    for broken in (False, True):
        for earlier in (False, True):
            place = tmp_path / f"{broken}-{earlier}"
            place.mkdir()
            if earlier:
                folder_with(place / "edge", "1")
            with suppress(KeyboardInterrupt), whole_folder(place / "edge") as new:
                (new / "file").write_text("2")
                if broken:
                    raise KeyboardInterrupt
            told = "1" if broken else "2"
            assert os.listdir(place) == (["edge"] if earlier or not broken else [])
            assert not (place / "edge").exists() or (place / "edge" / "file").read_text() == told


@pytest.mark.parametrize("call", ["mkdir", "symlink_to"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch, call):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "mkdir":
        monkeypatch.setattr("src.atomic.TemporaryDirectory", full)
        with pytest.raises(WriteError, match=r"edge cannot be written .*: make room"), whole_folder(tmp_path / "edge"):
            pass
    else:
        monkeypatch.setattr(Path, "symlink_to", full)
        with pytest.raises(WriteError, match=r"latest cannot be written .*: make room"):
            write_link(tmp_path / "latest", "run")
    assert not os.listdir(tmp_path)


def test_a_link_is_moved_and_a_folder_in_its_place_is_left_alone(tmp_path):
    for target in ("1", "2"):
        write_link(tmp_path / "latest", target)
        assert os.readlink(tmp_path / "latest") == target and os.listdir(tmp_path) == ["latest"]
    (tmp_path / "held").mkdir()
    with pytest.raises(WriteError, match="held cannot be written"):
        write_link(tmp_path / "held", "1")
    assert sorted(os.listdir(tmp_path)) == ["held", "latest"]


def test_files_are_written_together_or_none(tmp_path, monkeypatch):
    write_files(tmp_path / "new", {"a": b"1", "b": b"1"})
    (tmp_path / "new" / "notes").write_text("mine")
    written = []

    def second_fails(path, content):
        if len(written) == 1:
            raise WriteError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        path.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write_bytes", second_fails)
        with pytest.raises(WriteError, match="new cannot be written"):
            write_files(tmp_path / "new", {"a": b"2", "b": b"2"})
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {
        "a": "1",
        "b": "1",
        "notes": "mine",
    }
    write_files(tmp_path / "new", {"a": b"2", "b": b"2"})
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {
        "a": "2",
        "b": "2",
        "notes": "mine",
    }
    assert os.listdir(tmp_path) == ["new"]


# Scratch: pictures of a benchmark, a private copy for onnxruntime, and models for its tools, all in temporary folders.
SCRATCH = {"benchmarks/data.py", "benchmarks/edge_files.py", "edge/lines.py", "deploy/quantise.py"}
STREAMS = {"edge/writers.py", "edge/line_file.py"}  # lines that can be read while they come
WRITES = {"write_text", "write_bytes", "mkstemp", "NamedTemporaryFile", "savefig", "save_file", "tofile", "to_csv"}
OF_PICTURES = ("Image.", "image", "draw(")


def writes(tree):
    """Yield the calls that write into a file by another way than `src.atomic`."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        taken = [ast.unparse(each) for each in call.args]
        if taken and {*taken} & {"buffer", "encoded", "os.devnull"}:  # in memory, and nowhere
            continue
        modes = [mode.strip("'") for mode in taken if re.fullmatch("'[rwaxb+]{1,3}'", mode)]
        opened = name in ("open", "FileIO", "fdopen") and any(set(mode) & set("wax+") for mode in modes)
        by_method = name in WRITES and owner
        saved = name.startswith("save") and (owner in ("onnx", "torch", "np") or owner.startswith(OF_PICTURES))
        moved = owner == "os" and name in ("replace", "rename", "fsync")
        moved |= bool(owner) and (name == "symlink_to" or (name in ("rename", "replace") and len(taken) == 1))
        if opened or by_method or saved or moved:
            yield f"{owner}.{name}" if owner else name  # a text's replace takes two


def test_files_are_written_in_one_place_alone():
    files = {path: list(writes(ast.parse(path.read_text()))) for path in (ROOT / "src").rglob("*.py")}
    found = {str(path.relative_to(ROOT / "src")): calls for path, calls in files.items() if calls}
    assert set(found) == SCRATCH | STREAMS | {"atomic.py"}, found
