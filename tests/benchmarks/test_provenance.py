"""What decides a figure: the files behind it, and not the page about it."""

import pytest

from src.benchmarks import SUITES
from src.benchmarks.provenance import SOURCES, Provenance, code_files, code_sha256, commit, provenance

TREE = {
    "__init__.py": "",
    "bench/__init__.py": "from . import unrelated",
    "bench/trial.py": "from ..net import build, Kind\nfrom ..alone import x",
    "bench/unrelated.py": "from ..page import y",
    "net/__init__.py": "from .build import build\nfrom .kinds import find as Kind\nfrom .draw import draw",
    "net/build.py": "from .deep.inner import z",
    "net/draw.py": "",
    "net/deep/__init__.py": "",
    "net/deep/inner.py": "",
    "net/kinds/__init__.py": "import pkgutil\nfrom .registry import find",
    "net/kinds/registry.py": "",
    "net/kinds/one.py": "from ...two import n",
    "alone.py": "x = 1",
    "two.py": "",
    "page.py": "",
}
DECIDES = {
    *("bench/trial.py", "net/build.py", "net/deep/inner.py", "net/kinds/__init__.py", "net/kinds/registry.py"),
    *("net/kinds/one.py", "alone.py", "two.py"),
}


@pytest.fixture
def tree(tmp_path):
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_are_followed_to_the_file_that_has_the_name(tree):
    files = code_files(["bench.trial"], tree)
    assert {path.relative_to(tree).as_posix() for path in files} == DECIDES


def test_the_hash_changes_with_a_file_that_decides_and_with_no_other(tree):
    files = code_files(["bench.trial"], tree)
    before = code_sha256(files, tree)
    (tree / "page.py").write_text("y = 2")
    assert code_sha256(files, tree) == before
    (tree / "two.py").write_text("n = 2")
    assert code_sha256(files, tree) != before


def test_every_suite_names_its_code():
    for name, suite in SUITES.items():
        found = provenance(suite)
        names = {path.relative_to(SOURCES).as_posix() for path in found.files}
        assert "benchmarks/claims_page.py" not in names and len(found.code_sha256) == 64, name
    claims = {path.relative_to(SOURCES).as_posix() for path in provenance(SUITES["claims"]).files}
    assert {"benchmarks/trial.py", "lora/engine/weight.py", "kinds/classification.py", "tasks/fit.py"} <= claims
    assert not claims & {"benchmarks/claims.py", "report/page.py", "deploy/gate.py"}


def test_rows_are_marked_once_and_never_by_two_codes():
    source = provenance(SUITES["step"])
    row = source.mark({"seconds": 1.0})
    assert row == {"seconds": 1.0, "commit": source.commit, "code_sha256": source.code_sha256}
    assert source.mark(row | {"commit": "before"})["commit"] == "before"
    with pytest.raises(ValueError, match="was changed meanwhile: start again"):
        Provenance(source.files, "0" * 64, None).mark({})


def test_a_folder_that_is_no_clone_has_no_commit(tmp_path):
    assert commit(tmp_path) is None
