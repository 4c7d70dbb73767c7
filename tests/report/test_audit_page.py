"""The page and the lines of the gate; the whole way is in tests/test_audit.py."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from src.data.dataset_index import DatasetIndex
from src.data.quality import check
from src.data.quality.duplicates import Duplicates
from src.data.quality.label_errors import LabelCheck, Suspect
from src.report.audit_page import PAIRS, print_audit, verdict, write_audit
from tests.data.quality.test_gate import collection


def written(tmp_path, audit):
    index = DatasetIndex("parts <b>", Path("/"), (), ("a", "b"), None, "CC0", ("A note.",))
    write_audit(tmp_path, audit, index, 16, "2026-01-02", "python -m src.audit data.root=parts")
    return (tmp_path / "audit.html").read_text(), json.loads((tmp_path / "audit.json").read_text())


def test_the_page_says_what_was_found_and_shows_it(tmp_path):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "one.png")
    samples = list(collection().samples)
    samples[0] = replace(samples[0], path=tmp_path / "one.png")
    pairs = tuple((0, 4 + 8 * place) for place in range(7)) + tuple((1, 5 + 8 * place) for place in range(6))
    labels = LabelCheck((Suspect(3, "a", 0.9),), 60)
    audit = check(collection(samples=samples, duplicates=Duplicates(pairs, (), 3, 3), labels=labels))
    page, content = written(tmp_path, audit)
    assert "parts &lt;b&gt;" in page and "A note." in page and "CC0" in page
    assert "Exact duplicates across splits" in page and "stops a training" in page and "looks like a" in page
    assert page.count("data:image/jpeg;base64,") == 7 and "image cannot<br>be opened" in page
    assert "<bdi><wbr>r/<wbr>005.png</bdi>" in page  # the root is told once
    assert f"and {len(pairs) - PAIRS} more" in page
    assert content == audit.to_dict() and content["duplicates"]["exact_pairs"] == 13


def test_a_clean_set_may_begin(tmp_path):
    page, content = written(tmp_path, check(collection()))
    assert content["passed"] and "Nothing was found: a training may begin." in page


def test_verdict_and_lines_tell_stops_warnings_and_what_is_allowed(tmp_path):
    data = collection(duplicates=Duplicates(((0, 4), (0, 2)), (), 0, 0))
    assert verdict(check(data)).removesuffix(".") == "A training would stop: exact duplicates across splits"
    allowed = check(data, ["exact_duplicates_across_splits"])
    assert verdict(allowed) == "A training may begin: nothing stops it, 1 warning, 1 allowed."
    out = io.StringIO()
    print_audit(Console(file=out, width=100), check(data), tmp_path)
    assert verdict(check(data)) in out.getvalue()
    assert "stops" in out.getvalue() and "warns" in out.getvalue() and str(tmp_path / "audit.html") in out.getvalue()


def test_page_and_terminal_say_why_labels_were_not_examined(tmp_path):
    audit = check(collection(labels=LabelCheck(reason="fewer than 10 images or groups of b")))
    told = "none examined (fewer than 10 images or groups of b)"
    out = io.StringIO()
    print_audit(Console(file=out, width=100), audit, tmp_path)
    page, _ = written(tmp_path, audit)
    assert told in page and f"labels: {told}" in out.getvalue() and "doubtful" not in page + out.getvalue()
