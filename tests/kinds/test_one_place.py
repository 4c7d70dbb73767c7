"""A kind of task is asked for by its object: no other file knows the names of the kinds."""

import ast
import re
from pathlib import Path

import pytest

from src.kinds import KINDS

SRC = Path(__file__).parents[2] / "src"
OWN = {SRC / "tasks" / f"{name}.py" for name in KINDS} | {*(SRC / "kinds").glob("*.py")}
NAME = re.compile(rf"task={'|task='.join(KINDS)}")
# Other things have a kind too: an adapter, an adapted layer, a dtype, a finding, a parameter.
OTHERS = {*map(repr, ("dense", "lora", "u", "f", "iub", "iuf", "iufb")), "STOPS", "self.allowed", "each.VAR_KEYWORD"}


def literals(tree):
    """Yield the strings of a file but its docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    said = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and _is_text(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def _is_text(node):
    return bool(node.body) and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)


def compared(tree):
    """Yield what the attribute `kind` of something is compared with, as source."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Attribute) and side.attr == "kind" for side in sides):
                yield from (ast.unparse(side) for side in sides if getattr(side, "attr", "") != "kind")
        if isinstance(node, ast.Match) and getattr(node.subject, "attr", "") == "kind":
            yield ast.unparse(node.subject)


@pytest.mark.parametrize("path", sorted({*SRC.rglob("*.py")} - OWN), ids=lambda path: str(path.relative_to(SRC)))
def test_no_other_file_names_a_kind(path):
    tree = ast.parse(path.read_text())
    assert not [text for text in literals(tree) if text in KINDS or NAME.search(text)]
    assert not {*compared(tree)} - OTHERS


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.j2")), ids=lambda path: str(path.relative_to(SRC)))
def test_no_template_names_a_kind(path):
    assert not re.search(rf"""["']({"|".join(KINDS)})["']|kind\s*[=!]=""", path.read_text())


def test_the_search_finds_what_it_looks_for():
    tree = ast.parse('def f(task):\n    """classification"""\n    return task.kind == "ordinal" or g("regression")')
    assert {*literals(tree)} == {"ordinal", "regression"} and [*compared(tree)] == ["'ordinal'"]
