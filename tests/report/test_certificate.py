"""What a certificate says of each kind of task, of groups, of estimates, and of what is not known."""

import html
import json
from types import SimpleNamespace

import numpy as np
import pytest

from src.decision import Objective, fit_decision
from src.report import render_certificate, say_certificate
from src.report.certificate import assumptions
from src.spec import TaskSpec
from tests.decision.test_fit import BINARY, THREE, binary, three

LABELS = TaskSpec("multilabel", ("rust", "dent"))
LOTS = [f"lot {number // 2}" for number in range(200)]


def labelled():
    random = np.random.default_rng(0)
    has = random.random((600, 2)) < [0.3, 0.15]
    shown = np.where(has, random.beta(8, 2, has.shape), random.beta(2, 8, has.shape)).astype(np.float32)
    truths = [tuple(name for name, there in zip(LABELS.classes, row, strict=True) if there) for row in has]
    return SimpleNamespace(outputs=shown, truths=truths, groups=None)


def measured():
    random = np.random.default_rng(0)
    truth = random.normal(10, 2, 300)
    shown = (truth + random.normal(0, 0.1, 300)).astype(np.float32)
    return SimpleNamespace(outputs=shown, truths=list(truth), groups=None)


def certificate(task, asked, shown, others=None, **told):
    """Return the JSON of a certificate, its page as text, and what the terminal says."""
    fitted = fit_decision(task, asked, shown, others)
    held = {
        "estimate": False, "objective": asked.to_dict(), **fitted.figures, "task": task.kind, "split": "calibration",
        "images": len(shown.truths), "copies_left_out": 0, "files_left_out": 0, "data": "parts", "precision": "fp32",
        "data_fingerprint": "f" * 64, "model_sha256": "a" * 64, "seen_images_excluded": True, "tests_on_this_data": 1,
        "date": "2026-01-01", "command": "certify", "pass_classes": [],
    } | told  # fmt: skip
    files = render_certificate("certificate", held, fitted, shown.groups)
    page = html.unescape(files["certificate.html"].decode())
    return json.loads(files["certificate.json"]), page, say_certificate(held)


@pytest.mark.parametrize(
    ("task", "asked", "shown", "others", "promised", "said"),
    [
        (BINARY, Objective(0.05, 0.05), binary(), None, "Of all parts with a defect at most 5 % pass, at 95 %",
         "certified: escape rate 5 % at 95 %: 4 of 200 defects escape, bound 4.52 %"),
        (BINARY, Objective(0.05), binary(groups=LOTS * 2), None, "Of all groups with a defect at most 5 % have one",
         "groups with a defect escape"),
        (THREE, Objective(0.05), three(), three(seed=1), "decisions that stand without a person at most 5 % are wrong",
         "certified: error rate 5 % at 95 %"),
        (LABELS, Objective(0.1, labels=("rust", "dent")), labelled(), None,
         "For each of rust, dent, at most 10 % of the pictures with it pass", "of the label missed most"),
        (TaskSpec("regression", ("mm",)), Objective(0.05, limits=(8.0, None)), measured(), None,
         "without which none outside the limits passes", "certified: miss rate 5 % at 95 %"),
    ],
)  # fmt: skip
def test_each_kind_says_what_it_promises_and_no_more(task, asked, shown, others, promised, said):
    held, page, told = certificate(task, asked, shown, others)
    assert promised in page and said in told and "escapes" in held
    assert ("Escape rate, bound by the counts" in page) == (task is BINARY)
    assert "An estimate" not in page


def test_the_bound_of_labels_is_that_of_the_one_missed_most_and_each_has_a_row():
    held, page, _ = certificate(LABELS, Objective(0.1, labels=("rust", "dent")), labelled())
    each = [label["upper_bound"] for label in held["labels"].values()]
    assert held["escape_rate_upper_bound"] == max(each) <= 0.1 and min(each) < max(each)
    for name, label in held["labels"].items():
        assert f"{name} missed" in page and f"{label['escapes']} of {label['defects']}, bound" in page


@pytest.mark.parametrize(
    ("told", "said", "unsaid"),
    [
        ({}, "In this run these images have certified nothing before", "could not be checked"),
        ({"tests_on_this_data": 3}, "used to certify 3 times", "nothing before"),
        ({"tests_on_this_data": None}, "have certified before is not known", "nothing before"),
        ({"seen_images_excluded": False}, "trained or validated on could not be checked", "flatter"),
        (
            {"estimate": True, "seen_images_excluded": False},
            "the numbers flatter, and promise nothing",
            "not be checked",
        ),
        ({"copies_left_out": 2}, "2 images like others were left out", "files that could not"),
        ({"files_left_out": 4}, "4 files that could not be read", "like others"),
        ({"unit": "group"}, "groups (plants, lots, modules; copies lie in one)", "The data name no groups"),
    ],
)
def test_what_is_taken_for_granted_is_said_and_nothing_that_was_not_checked(told, said, unsaid):
    held = {
        "unit": "image", "estimate": False, "seen_images_excluded": True, "tests_on_this_data": 1,
        "copies_left_out": 0, "files_left_out": 0,
    }  # fmt: skip
    text = " ".join(assumptions(held | told))
    assert said in text and unsaid not in text


def test_an_estimate_promises_nothing():
    _, page, told = certificate(BINARY, Objective(0.05), binary(), estimate=True, seen_images_excluded=False)
    assert "An estimate, no promise" in page and told.startswith("estimated: ")
