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
    **dict.fromkeys(("builtins.object", "builtins.complex", "collections.abc.Hashable"), ANY),
    **{f"numbers.{name}": ANY for name in ("Number", "Complex", "Real", "Rational", "Integral")},
    **{f"typing.{name}": ANY for name in ("Any", "AnyStr", "Hashable")},
    **{f"typing.Supports{name}": ANY for name in ("Abs", "Complex", "Float", "Index", "Int", "Round")},
    **{f"typing.{name}": "str" for name in ("LiteralString", "Text")},
    "os.PathLike": "path",
    "pathlib.Path": "path",
    "pathlib.PurePath": "path",
    **{f"builtins.{name}": name for name in _PLAIN},
}
_TRANSPARENT = ("Annotated", "Final", "InitVar", "NotRequired", "Optional", "ReadOnly", "Required", "Union")
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
    for own, more, ours in _called(found):
        parameters = {**own, **parameters}
        if not more:
            return Signature(parameters, open=handed_on and not found.module.ours)
        handed_on |= not ours
    return Signature(parameters, open=True)


def _called(found: Definition) -> Iterator[tuple[dict[str, Parameter], bool, bool]]:
    """Yield what each function takes that is called, from the subclass up, if it hands more on, and if it is ours."""
    if isinstance(found.node, ast.FunctionDef):
        yield *_of_function(found.node, found.module), found.module.ours
        return
    for each in _lineage(found):
        body = each.node.body if isinstance(each.node, ast.ClassDef) else []
        made = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
        if made:
            yield (
                *_of_function(made[-1], each.module),
                each.module.ours,
            )  # those before it are stubs for type checkers, `@overload`
        elif _is_dataclass(each):
            yield _of_fields(each), False, each.module.ours


def _of_function(node: ast.FunctionDef, module: Module) -> tuple[dict[str, Parameter], bool]:
    named, texts = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs), _texts(node)
    own = {each.arg: Parameter(module, each.annotation, texts.get(each.arg, "")) for each in named}
    own.pop("self", None)
    rest = node.args.kwarg
    given = None if rest is None else rest.annotation
    if isinstance(given, ast.Subscript) and _last_name(given.value) == "Unpack":  # of a TypedDict
        keys = resolve(given.slice, module)
        if isinstance(keys, Definition) and isinstance(keys.node, ast.ClassDef):
            return {**_of_fields(keys), **own}, False
    return own, rest is not None


def _of_fields(found: Definition) -> dict[str, Parameter]:
    """Return the fields of a dataclass or a TypedDict, those that it inherits included."""
    own: dict[str, Parameter | None] = {}
    whole = not _is_dataclass(found)  # else what parents that are none annotate is no field
    for each in _lineage(found):
        texts = _texts(each.node)
        for node in each.node.body if isinstance(each.node, ast.ClassDef) and (whole or _is_dataclass(each)) else ():
            if isinstance(node, ast.AnnAssign):
                name = ast.unparse(node.target)
                field = Parameter(each.module, node.annotation, texts.get(name, ""))
                own.setdefault(name, field if _is_given(node) else None)
    return {name: field for name, field in own.items() if field is not None}


def _is_given(node: ast.AnnAssign) -> bool:
    """Return whether a field is one that the constructor takes."""
    names = {_last_name(part) for part in ast.walk(node.annotation) if isinstance(part, (ast.Name, ast.Attribute))}
    made = node.value if isinstance(node.value, ast.Call) else None
    options = {each.arg: ast.unparse(each.value) for each in made.keywords} if made else {}
    left_out = made is not None and _last_name(made.func) == "field" and options.get("init") == "False"
    return not (left_out or names & {"ClassVar", "KW_ONLY"})


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
        yield from _kinds_of_text(node.value, module, depth)
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


def _kinds_of_text(text: str, module: Module, depth: int) -> Iterator[Kind]:
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:  # words for a reader
        yield ANY
    else:
        yield from _kinds(node, module, depth + 1)


def _kinds_of_generic(node: ast.Subscript, module: Module, depth: int) -> Iterator[Kind]:
    name = _last_name(node.value)
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        yield from map(_literal, parts)
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
        yield _KNOWN.get(found.replace("typing_extensions.", "typing."), OTHER if is_standard(found) else ANY)
    elif isinstance(found.node, ast.ClassDef):
        yield OTHER
    elif isinstance(found.node, ast.expr) and not isinstance(found.node, ast.Call):  # an alias
        yield from _kinds(found.node, found.module, depth + 1)
    else:  # a type variable
        yield ANY


def _literal(node: ast.expr) -> Kind:
    try:
        return ("literal", ast.literal_eval(node))
    except ValueError:  # a member of an enumeration
        return ANY


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _texts(node: ast.AST) -> dict[str, str]:
    """Return what a Google docstring says of each parameter or attribute."""
    texts: dict[str, str] = {}
    name, inside, margin = "", False, 0  # that of the entries
    text = ast.get_docstring(node) if isinstance(node, (ast.ClassDef, ast.FunctionDef)) else None
    for line in filter(str.strip, (text or "").splitlines()):
        indent = len(line) - len(line.lstrip())
        if not indent:
            inside, name = line in ("Args:", "Attributes:"), ""
        elif inside and name and indent > margin:
            texts[name] += f" {line.strip()}"
        elif inside:
            (name, _, said), margin = line.strip().partition(": "), indent
            texts[name] = said
    return texts
