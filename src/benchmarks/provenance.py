"""Which code a figure comes from: rows of other code are other figures, whatever their commit."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .suite import Row, Suite

SOURCES, HERE = Path(__file__).parents[1], Path(__file__).parent.name
_REGISTRY = "pkgutil"  # a package that looks for its own files: all of them decide


@dataclass(frozen=True)
class Provenance:
    """Where the figures of a suite come from.

    Attributes:
        files: The source files that decide them.
        code_sha256: Their hash.
        commit: That of the sources, see `commit`.
    """

    files: tuple[Path, ...]
    code_sha256: str
    commit: str | None

    def mark(self, row: Row) -> Row:
        """Return a row with its provenance; one that was measured before keeps its own.

        Raises:
            ValueError: The sources have changed since: what was measured now is of neither code.
        """
        if "code_sha256" in row:
            return row
        if code_sha256(self.files) != self.code_sha256:
            raise ValueError("the code that is measured was changed meanwhile: start again, with another output")
        return row | {"commit": self.commit, "code_sha256": self.code_sha256}


def provenance(suite: Suite) -> Provenance:
    """Return where the figures of a suite come from, as the sources are now."""
    modules = suite.code or (suite.run.__module__.rpartition(".")[2],)
    files = code_files(f"{HERE}.{module}" for module in modules)
    return Provenance(files, code_sha256(files), commit())


def code_files(modules: Iterable[str], sources: Path = SOURCES) -> tuple[Path, ...]:
    """Return the source files that the modules are made of: they, and what of ours they import, in turn.

    A name that a package passes on leads to the file that has it, so that a page's file does not decide a figure.

    Args:
        modules: Their names below `sources`, such as `benchmarks.trial`.
        sources: The folder of the package.
    """
    found: set[Path] = set()
    waiting = [_file(sources.joinpath(*module.split("."))) for module in modules]
    while waiting:
        path = waiting.pop()
        if path is not None and path not in found:
            found.add(path)
            waiting += _imported(path, sources)
    return tuple(sorted(found))


def code_sha256(files: Iterable[Path], sources: Path = SOURCES) -> str:
    """Return one SHA-256 over names and contents of source files."""
    digest = hashlib.sha256()
    for path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(sources).as_posix()}={content}\n".encode())
    return digest.hexdigest()


def commit(folder: Path = SOURCES) -> str | None:
    """Return the commit of the sources, with `+` where they differ from it; None outside a clone of the repository."""
    try:
        name = _git(folder, "rev-parse", "HEAD")
        return name + ("+" if _git(folder, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(("git", *words), cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def _imported(path: Path, sources: Path) -> Iterator[Path | None]:
    """Yield the files behind the relative imports of a file; those below `TYPE_CHECKING` too."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1]
            target = folder.joinpath(*node.module.split(".")) if node.module else folder
            for name in node.names:
                yield from _homes(target, name.name, sources)
        elif isinstance(node, ast.Import) and any(name.name == _REGISTRY for name in node.names):
            yield from path.parent.glob("*.py")


def _homes(target: Path, name: str, sources: Path) -> Iterator[Path | None]:
    """Yield the files that a name of a module or package comes from."""
    package = target / "__init__.py"
    if not package.is_file():
        yield _file(target)
    elif (inside := _file(target / name)) is not None:
        yield inside
    else:
        passed_on = False
        for node in _tree(package).body:
            if isinstance(node, ast.ImportFrom) and node.level:
                for own in node.names:
                    if (own.asname or own.name) == name:
                        passed_on = True
                        folder = target.joinpath(*node.module.split(".")) if node.module else target
                        yield from _homes(folder, own.name, sources)
        # What the package has itself, or does when it is loaded, such as looking for its files.
        if not passed_on or _REGISTRY in package.read_text(encoding="utf-8"):
            yield package


def _file(module: Path) -> Path | None:
    """Return the file of a module or package, None where there is none."""
    for path in (module.with_suffix(".py"), module / "__init__.py"):
        if path.is_file():
            return path
    return None


@lru_cache(maxsize=1024)
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
