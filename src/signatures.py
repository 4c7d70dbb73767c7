"""What a class or a function takes by name, with the annotations and the docstring, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .source import Definition, Module, find, is_standard, resolve

ANY, OTHER = "any", "other"  # kinds of an annotation: every value, and no plain one
_PLAIN = ("int", "float", "bool", "str", "None")
_KNOWN = {
    "typing.Any": ANY,
    "builtins.object": ANY,
    "os.PathLike": "path",
    "pathlib.Path": "path",
    "pathlib.PurePath": "path",
    **{f"builtins.{name}": name for name in _PLAIN},
}
_TRANSPARENT = ("Annotated", "Final", "NotRequired", "Optional", "ReadOnly", "Required", "Union")
_DEEPEST = 20  # classes above a class, aliases of aliases

Kind = str | tuple[str, object]  # one of `_PLAIN`, "path", `ANY` or `OTHER`; or ("literal", value)


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        module: Where it is declared.
        annotation: Its annotation, if it has one.
        text: What the docstring says of it, on one line.
    """

    module: Module
    annotation: ast.expr | None
    text: str

    def kinds(self) -> Iterator[Kind]:
        """Yield the kinds of values that it is annotated with; a source is read only for what has to be looked up."""
        yield from [ANY] if self.annotation is None else _kinds(self.annotation, self.module, 0)


@dataclass(frozen=True)
class Signature:
    """What can be given by name; any other name too where it is `open`."""

    parameters: dict[str, Parameter]
    open: bool


@cache
def read_signature(target: str) -> Signature | None:
    """Return what a class or a function takes by name, or None where no source says it.

    Our own classes hand on to their base what they do not take themselves; of others nobody knows what they do with it.
    """
    found = find(target)
    if found is None or not isinstance(found.node, (ast.ClassDef, ast.FunctionDef)):
        return None
    parameters: dict[str, Parameter] = {}
    handed_on = False
    for own, more in _called(found):
        parameters = {**own, **parameters}
        if not more:
            return Signature(parameters, open=handed_on and not found.module.ours)
        handed_on = True
    return Signature(parameters, open=True)


def _called(found: Definition) -> Iterator[tuple[dict[str, Parameter], bool]]:
    """Yield what is taken by each function that is called, from the subclass up, and whether it hands more on."""
    if isinstance(found.node, ast.FunctionDef):
        yield _of_function(found.node, found.module)
        return
    for each in _lineage(found):
        body = each.node.body if isinstance(each.node, ast.ClassDef) else []
        made = next((node for node in body if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None)
        if made is not None:
            yield _of_function(made, each.module)
        elif _is_dataclass(each):
            yield _of_fields(each), False


def _of_function(node: ast.FunctionDef, module: Module) -> tuple[dict[str, Parameter], bool]:
    named, texts = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs), _texts(node)
    own = {each.arg: Parameter(module, each.annotation, texts.get(each.arg, "")) for each in named}
    own.pop("self", None)
    rest = node.args.kwarg
    if rest is not None and isinstance(rest.annotation, ast.Subscript):  # Unpack[...] of a TypedDict
        keys = resolve(rest.annotation.slice, module)
        if isinstance(keys, Definition) and isinstance(keys.node, ast.ClassDef):
            return {**_of_fields(keys), **own}, False
    return own, rest is not None


def _of_fields(found: Definition) -> dict[str, Parameter]:
    """Return the fields of a dataclass or a TypedDict, those that it inherits included."""
    own: dict[str, Parameter] = {}
    for each in _lineage(found):
        texts = _texts(each.node)
        for node in each.node.body if isinstance(each.node, ast.ClassDef) else ():
            if isinstance(node, ast.AnnAssign) and "ClassVar" not in ast.unparse(node.annotation):
                name = ast.unparse(node.target)
                own.setdefault(name, Parameter(each.module, node.annotation, texts.get(name, "")))
    return own


def _is_dataclass(found: Definition) -> bool:
    marks = found.node.decorator_list if isinstance(found.node, ast.ClassDef) else ()
    return any(ast.unparse(mark).partition("(")[0].endswith("dataclass") for mark in marks)


def _lineage(found: Definition, depth: int = 0) -> Iterator[Definition]:
    """Yield a class and those above it, as far as they can be read."""
    yield found
    for base in found.node.bases if isinstance(found.node, ast.ClassDef) and depth < _DEEPEST else ():
        above = resolve(base, found.module)
        if isinstance(above, Definition) and isinstance(above.node, ast.ClassDef):
            yield from _lineage(above, depth + 1)


def _kinds(node: ast.expr, module: Module, depth: int) -> Iterator[Kind]:
    """Yield the kinds of an annotation."""
    if depth > _DEEPEST:
        yield ANY
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _kinds(ast.parse(node.value, mode="eval").body, module, depth + 1)
    elif isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.BinOp):
        for part in (node.left, node.right):
            yield from _kinds(part, module, depth + 1)
    elif isinstance(node, ast.Subscript):
        yield from _kinds_of_generic(node, module, depth)
    elif isinstance(node, (ast.Name, ast.Attribute)):
        yield from _kinds_of_name(node, module, depth)
    else:
        yield ANY


def _kinds_of_generic(node: ast.Subscript, module: Module, depth: int) -> Iterator[Kind]:
    name = ast.unparse(node.value).rpartition(".")[2]
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        yield from (("literal", part.value) for part in parts if isinstance(part, ast.Constant))
    elif name in _TRANSPARENT:
        for part in parts[:1] if name == "Annotated" else parts:
            yield from _kinds(part, module, depth + 1)
        if name == "Optional":
            yield "None"
    else:
        yield from _kinds(node.value, module, depth + 1)


def _kinds_of_name(node: ast.expr, module: Module, depth: int) -> Iterator[Kind]:
    found = resolve(node, module)
    if isinstance(found, str):
        yield _KNOWN.get(found, OTHER if is_standard(found) else ANY)
    elif isinstance(found.node, ast.ClassDef):
        yield OTHER
    elif isinstance(found.node, ast.expr) and not isinstance(found.node, ast.Call):  # an alias
        yield from _kinds(found.node, found.module, depth + 1)
    else:  # a type variable
        yield ANY


def _texts(node: ast.AST) -> dict[str, str]:
    """Return what a Google docstring says of each parameter or attribute."""
    texts: dict[str, str] = {}
    name, inside = "", False
    text = ast.get_docstring(node) if isinstance(node, (ast.ClassDef, ast.FunctionDef)) else None
    for line in (text or "").splitlines():
        if line and not line.startswith(" "):
            inside = line in ("Args:", "Attributes:")
        elif inside and line.startswith(" " * 8):
            texts[name] += f" {line.strip()}"
        elif inside and line:
            name, _, said = line.strip().partition(": ")
            texts[name] = said
    return texts
