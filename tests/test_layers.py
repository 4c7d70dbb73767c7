"""Imports point one way, and the edge needs no torch."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"src", "graft"}  # the package has two names, so that its code uses neither
BELOW = {
    *(
        "__init__",
        "allocator",
        "atomic",
        "command",
        "draws",
        "errors",
        "evaluation",
        "flags",
        "folders",
        "lot",
        "mistyped",
    ),
    *(
        "__main__",
        "absent",
        "checks",
        "certifying",
        "choices",
        "near",
        "overrides",
        "package",
        "remarks",
        "signatures",
        "source",
    ),
    *("spec", "targets", "typed", "usage"),
}
COMMANDS = {path.stem for path in (ROOT / "src").glob("*.py")} - BELOW
ABOVE = {
    *("atomic", "backbones", "command", "data", "deploy", "evaluation", "folders", "lora", "lot", "near", "overrides"),
    *("kinds", "report", "spec", "targets", "tasks", "training", "typed"),
}
EVERYWHERE = {"absent", "package"}  # the ground floor
MAY_IMPORT = {
    "allocator": set(),
    "atomic": set(),
    "draws": set(),
    "remarks": set(),
    "spec": set(),
    "errors": set(),
    "near": set(),
    "flags": {"near"},
    "absent": set(),
    "package": set(),
    "checks": {"choices", "errors", "source", "targets", "typed"},
    "choices": {"near", "spec"},
    "source": set(),
    "signatures": {"source"},
    "targets": {"source"},
    "mistyped": {"near", "overrides", "typed"},
    "overrides": set(),
    "typed": {"near", "signatures"},
    "usage": {"overrides", "signatures"},
    "__main__": {"command", "near", "usage"},
    "command": {"checks", "errors", "flags", "mistyped", "overrides", "remarks", "targets", "usage"},
    "evaluation": {"data", "report", "targets", "tasks", "typed"},
    "folders": {"atomic", "command"},
    "certifying": {"atomic", "data", "decision", "edge", "kinds", "tasks"},
    "lot": {"data", "kinds", "near", "spec", "targets", "tasks"},
    "kinds": {"spec"},
    "edge": {"allocator", "atomic", "decision", "kinds", "spec"},
    "lora": {"atomic", "near"},
    "backbones": {"atomic", "draws", "near", "spec"},
    "data": {"atomic", "draws", "edge", "errors", "kinds", "near", "spec", "targets"},
    "metrics": {"kinds"},
    "decision": {"kinds", "spec"},
    "tasks": {"allocator", "atomic", "backbones", "choices", "data", "kinds", "lora", "metrics", "near", "spec"},
    "deploy": {"allocator", "atomic", "backbones", "choices", "decision", "edge", "kinds", "lora", "metrics", "spec"},
    "report": {"atomic", "data", "decision", "edge", "kinds", "metrics", "spec"},
    "training": {
        *("atomic", "backbones", "command", "data", "overrides", "report", "spec", "targets", "tasks", "typed"),
    },
    "benchmarks": {
        *("allocator", "atomic", "backbones", "data", "deploy", "edge", "kinds", "lora", "metrics", "near"),
        *("remarks", "report", "spec", "tasks"),
    },
    **dict.fromkeys(COMMANDS, ABOVE),
    "certify": {
        *("atomic", "certifying", "command", "data", "decision", "deploy", "edge", "evaluation", "lot", "overrides"),
        *("report", "tasks", "typed"),
    },
    "export": {"atomic", "command", "data", "deploy", "edge", "evaluation", "tasks", "typed"},
    "predict": {"command", "decision", "edge", "spec"},
    "benchmark": {"atomic", "benchmarks", "command", "folders"},
}
TORCH_FREE = (
    *("__main__", "allocator", "atomic", "remarks", "decision", "edge", "kinds", "metrics", "near", "spec", "errors"),
    *("flags", "mistyped", "overrides", "command", "package", "predict", "signatures", "source", "targets", "typed"),
    *("absent", "checks", "choices", "usage"),
)
HEAVY = {"torch", "torchvision", "timm", "lightning", "torchmetrics", "onnx", "safetensors", "rich", "matplotlib"}
FILES = sorted((ROOT / "src").rglob("*.py"))


def layer(path):
    return path.relative_to(ROOT / "src").parts[0].removesuffix(".py")


def imports(node, path):
    """Yield what is imported; our own modules, which are named by their place alone, as `src...`."""
    package = ("src", *path.relative_to(ROOT / "src").parts[:-1])
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            assert not {alias.name.split(".")[0] for alias in child.names} & OURS, "our own modules by their place"
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.level:
            place = [*package[: len(package) + 1 - child.level], *filter(None, [child.module])]
            yield from [".".join(place)] if child.module else [".".join([*place, each.name]) for each in child.names]
        elif isinstance(child, ast.ImportFrom):
            assert child.module.split(".")[0] not in OURS, "our own modules by their place"
            yield child.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    own, tree = layer(path), ast.parse(path.read_text())
    names = list(imports(tree, path))
    inner = {name.split(".")[1] for name in names if name.startswith("src.")} - {own} - EVERYWHERE
    assert inner <= MAY_IMPORT.get(own, set()), f"{own} must not import {inner - MAY_IMPORT.get(own, set())}"
    if own in TORCH_FREE:
        assert not {name.split(".")[0] for name in names} & HEAVY


@pytest.mark.parametrize("path", sorted((ROOT / "src/lora/engine").glob("*.py")), ids=lambda path: path.stem)
def test_the_engine_knows_nothing_of_the_rest_of_lora(path):
    ours = [name for name in imports(ast.parse(path.read_text()), path) if name.startswith("src.")]
    assert all(name.startswith("src.lora.engine") for name in ours), ours


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_own_packages_are_imported_at_the_top(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert not [name for name in imports(node, path) if name.split(".")[0] == "src"], f"{path}: in {node.name}"


def test_no_command_is_imported():
    assert not set().union(*MAY_IMPORT.values()) & COMMANDS


def test_every_layer_is_known():
    assert {layer(path) for path in FILES} - {"__init__"} == set(MAY_IMPORT)
    assert (ROOT / "src/__init__.py").read_text() == ""
