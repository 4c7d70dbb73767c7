import ast

from src.near import near, near_names
from tests.conftest import ROOT


def test_a_near_name_is_offered_and_a_far_one_is_not():
    assert near("tets", ("train", "test")) == " (did you mean test?)"
    assert near("zzz", ("train", "test")) == ""


def test_the_likeliest_come_first_and_no_more_than_asked_for():
    known = {"conv_stem": 1, "conv_head": 2, "blocks.0": 3}
    assert near_names("conv_stm", known, 2, 0.3) == ["conv_stem", "conv_head"]
    assert near_names("conv_stm", known) == ["conv_stem"]


def test_nobody_else_looks_for_near_names():
    for path in (ROOT / "src").rglob("*.py"):
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert "difflib" not in names or path.name == "near.py", path
