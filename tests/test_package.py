"""What is installed: every package of `src` but the benchmarks, the configs, and one command."""

import tomllib

from src.package import CONF, HERE, command_words, install_line, shell_line
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_is_listed_but_the_benchmarks():
    setuptools = PROJECT["tool"]["setuptools"]
    folders = [path.parent for path in HERE.rglob("*.py") if "benchmarks" not in path.parts]
    found = {".".join(["graft", *folder.relative_to(HERE).parts]) for folder in folders}
    assert set(setuptools["packages"]) == found | {"graft.conf"}, "list a new package in pyproject.toml"
    assert setuptools["package-dir"] == {"graft": "src", "graft.conf": "conf"}


def test_every_other_file_is_listed():
    listed = PROJECT["tool"]["setuptools"]["package-data"]
    for folder, name in ((HERE, "graft"), (CONF, "graft.conf")):
        files = {path for path in folder.rglob("*") if path.is_file() and path.suffix in (".j2", ".yaml")}
        taken = {path for pattern in listed[name] for path in folder.glob(pattern)}
        assert {path for path in files - taken if "benchmarks" not in path.parts} == set()


def test_a_clone_says_how_it_is_run():
    assert CONF == ROOT / "conf" and command_words("train") == ["python", "-m", "src.train"]
    assert shell_line("predict", "model=a b") == "python -m src.predict 'model=a b'"
    assert install_line("hub") == 'pip install -e ".[hub]"'
