"""What a dotted name stands for, read from source files: nothing is imported, so that torch need not be.

Names are followed through what modules import from each other, our own package by either of its names. What cannot be
read so (code written in C, names made at run time) is not found.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from .package import COMMON, HERE, NAMES

_STANDARD = ("collections", "datetime", "enum", "numbers", "os", "pathlib", "typing", "typing_extensions")
_DEEPEST = 20  # names that lead to names


@dataclass(frozen=True)
class Module:
    """A module's source.

    Attributes:
        name: Its dotted name, our own package by its common one.
        path: Its file.
        ours: Whether it belongs to this package.
    """

    name: str
    path: Path
    ours: bool = False

    @cached_property
    def names(self) -> dict[str, ast.AST | str]:
        """What its top level defines, by name: a definition, the value assigned, or the dotted name imported."""
        found: dict[str, ast.AST | str] = {}
        try:
            body = ast.parse(self.path.read_bytes()).body
        except (OSError, SyntaxError, ValueError):  # Python says it when it imports the module
            return found
        for node in _statements(body):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                found[node.target.id] = node.value
            elif isinstance(node, ast.Import):
                found |= {each.asname or each.name.partition(".")[0]: _imported(each) for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {each.asname or each.name: f"{self._origin(node)}.{each.name}" for each in node.names}
        return found

    def _origin(self, node: ast.ImportFrom) -> str:
        """Return the dotted name of the module that a statement imports from."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".") + ["__init__"] * (self.path.stem == "__init__")
        return ".".join([*parts[: -node.level], *filter(None, [node.module])])


@dataclass(frozen=True)
class Definition:
    """What a name stands for: a class, a function or an expression, and the module where it stands."""

    module: Module
    node: ast.AST


def find(name: str, depth: int = 0) -> Definition | None:
    """Return what a dotted name stands for, or None where no source says it."""
    place, _, last = name.rpartition(".")
    named = all(part.isidentifier() for part in name.split("."))  # and not a path
    for module in _modules(place) if place and named and depth <= _DEEPEST else ():
        held = module.names.get(last)
        if held is not None:
            return find(held, depth + 1) if isinstance(held, str) else Definition(module, held)
    return None


def resolve(node: ast.expr, module: Module) -> Definition | str:
    """Return what an expression names in a module, or its dotted name where no source of ours or others' says it."""
    head, _, rest = ast.unparse(node).partition(".")
    held = module.names.get(head)
    if held is None:
        return f"builtins.{head}" if hasattr(builtins, head) else head
    if isinstance(held, str):
        name = f"{held}.{rest}" if rest else held
        return name if name.partition(".")[0] in _STANDARD else find(name) or name
    return f"{head}.{rest}" if rest else Definition(module, held)


def is_standard(name: str) -> bool:
    """Return whether a dotted name is one of Python itself that annotations are made of."""
    return name.partition(".")[0] in (*_STANDARD, "builtins")


@cache
def _modules(name: str) -> tuple[Module, ...]:
    """Return what a dotted name may mean as a module: one of our own first, as a user's package may have our name."""
    root, *rest = name.split(".")
    ours = _file(HERE, rest) if root in NAMES else None
    found = (Module(".".join([COMMON, *rest]), ours, ours=True) if ours else None, _imported_module(root, rest))
    return tuple(module for module in found if module)


def _imported_module(root: str, rest: list[str]) -> Module | None:
    """Return a module as Python finds it."""
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):  # such as `__main__`, which has none
        return None
    if spec is None:
        return None
    name = ".".join([root, *rest])
    if not rest and spec.origin and spec.origin.endswith(".py"):
        return Module(name, Path(spec.origin))
    paths = (_file(Path(folder), rest) for folder in spec.submodule_search_locations or ())
    return next((Module(name, path) for path in paths if path), None)


def _file(folder: Path, parts: list[str]) -> Path | None:
    place = folder.joinpath(*parts)
    choices = [place / "__init__.py", *([place.with_name(f"{place.name}.py")] if parts else [])]
    return next((path for path in choices if path.is_file()), None)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those inside its conditions too."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _statements([*node.body, *getattr(node, "orelse", [])])


def _imported(name: ast.alias) -> str:
    return name.name if name.asname else name.name.partition(".")[0]
