"""The trial of a file; what it decides is in test_shipping and test_sharing."""

from pathlib import Path

import pytest

from src.deploy import Candidate, ExportOptions
from src.deploy.trial import Trial, require_usable
from src.spec import TaskSpec
from tests.deploy.nets import IMAGE, conv_net, plain

VALUE = TaskSpec("regression", ("sugar",))
UNLIKE, ALIKE = [(Path("a.png"), "1.0"), (Path("b.png"), "2.0")], [(Path("c.png"), "3.0"), (Path("d.png"), "3.0")]


def trial(samples, task=VALUE):
    candidate = Candidate(conv_net, task, samples, merge=plain)
    return Trial(candidate, IMAGE, ExportOptions(), Path("merged.onnx"), Path("model.onnx"))


def test_a_split_without_a_score_is_not_compared_whichever_way_it_ships(caplog):
    asked = trial({"val": UNLIKE, "test": ALIKE, "more": UNLIKE})
    assert asked.candidate.deciding_split == "val" and asked.other_splits() == ["more"]
    assert "test is not compared: every value is 3" in caplog.text
    assert asked.candidate.paths() == asked.candidate.paths("val") == [Path("a.png"), Path("b.png")]


def test_images_that_no_gate_can_judge_by_are_refused_before_any_work():
    with pytest.raises(ValueError, match="no pictures in split 'test'"):
        require_usable(trial({"val": UNLIKE, "test": []}).candidate)
    with pytest.raises(ValueError, match="'sweet' is unknown: it must be one of a, b"):
        require_usable(trial({"val": [(Path("a.png"), "sweet")]}, TaskSpec("classification", ("a", "b"))).candidate)
