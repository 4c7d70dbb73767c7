"""A precision is one file: what it costs, what it must bring, and how it is made."""

import ast
import json
import os

import pytest

from src.deploy.limits import LOOSE, Budget, Limits
from src.deploy.precisions import FP32, PRECISIONS, Precision, find_precision
from src.deploy.shipping import ship
from src.edge import Runtime
from tests.conftest import ROOT
from tests.deploy.nets import IMAGE, conv_net, saved
from tests.deploy.test_shipping import candidate, labelled

SRC = ROOT / "src"


def test_there_are_three_and_their_limits_are_what_they_were():
    assert set(PRECISIONS) == {"fp32", "fp16", "int8"}
    budget = Budget(0.25, 3.0)
    for profile in ("u8", "float", "u8-resize", "u8-matmul"):
        assert find_precision("fp32").limits(profile, budget) == (Limits() if profile in ("u8", "float") else LOOSE)
        assert find_precision("fp16").limits(profile, budget) == LOOSE == Limits(0.02, 0.005, 0.005)
        assert find_precision("int8").limits(profile, budget) == Limits(None, None, 0.25, 0.03)
    assert {name: each.min_speedup(budget) for name, each in PRECISIONS.items()} == {
        "fp32": None, "fp16": None, "int8": 3.0,
    }  # fmt: skip
    assert {name: each.tolerance for name, each in PRECISIONS.items()} == {"fp32": 1e-3, "fp16": 0.02, "int8": 0.05}
    with pytest.raises(ValueError, match="unknown precision 'fp8': use precision=fp32, fp16, int8"):
        find_precision("fp8")


class Twin(Precision):
    """The fp32 file under another name."""

    name, tolerance = "twin", 0.01

    def convert(self, conversion):
        conversion.file.write_bytes(conversion.fp32.read_bytes())
        assert next(iter(conversion.pictures)).shape == (1, *IMAGE.size, 3)
        assert conversion.judge(conversion.fp32.read_bytes()).passed


def test_another_one_is_shipped_without_any_change_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setitem(PRECISIONS, "twin", Twin())
    (tmp_path / "run").mkdir()
    samples = labelled(conv_net(), saved(tmp_path / "pictures", 12))
    verdict = ship(candidate(samples), IMAGE, tmp_path / "run", "twin")
    assert verdict.passed and verdict.parity.stage == "twin" and verdict.speed.min_speedup is None
    assert json.loads((tmp_path / "run/edge/manifest.json").read_text())["precision"] == "twin"
    Runtime(tmp_path / "run")
    assert os.listdir(tmp_path / "run") == ["edge"]


@pytest.mark.parametrize(
    "path", [*sorted((SRC / "deploy").glob("*.py")), SRC / "export.py"], ids=lambda path: path.name
)
def test_no_other_file_of_the_export_names_a_precision(path):
    tree = ast.parse(path.read_text())
    names = [each.value for each in ast.walk(tree) if isinstance(each, ast.Constant) and each.value in PRECISIONS]
    assert not names and FP32 in PRECISIONS
