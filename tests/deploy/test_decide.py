import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from src.decision import VERDICTS, DecisionSpec, verdicts, words
from src.deploy.bundle import write_bundle
from src.deploy.decide import write_decision
from src.deploy.graph import export_onnx
from src.deploy.model_file import encode_model
from src.deploy.verdict_nodes import add_verdict, remove_verdict
from src.edge import Runtime
from src.edge.golden import GOLDEN, Golden
from src.edge.manifest import MANIFEST, MODEL, SOLE, Line, Manifest
from src.edge.session import VERDICT, open_session, run_each, run_named
from src.edge.verdicts import decided_by
from src.spec import ImageSpec, TaskSpec

IMAGE = ImageSpec((6, 8), (0.5,) * 3, (0.25,) * 3, "bilinear", 1.0, "squash")
BINARY = TaskSpec("classification", ("bad", "good"), "bad")
THREE = TaskSpec("classification", ("scratch", "good", "dent"))
GRADES = TaskSpec("ordinal", ("a", "b", "c"))
LABELS = TaskSpec("multilabel", ("scratch", "rust", "clean"))
VALUE = TaskSpec("regression", ("mm",), center=3.0, scale=2.0)


def f32(value):
    return float(np.float32(value))


@cache
def model_of(task):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 8, len(task.classes))).eval()
    with TemporaryDirectory() as folder:
        export_onnx(network, IMAGE, task, Path(folder) / "plain.onnx")
        return (Path(folder) / "plain.onnx").read_bytes()


def batch(count=64, seed=1):
    random = np.random.default_rng(seed)
    return (random.integers(0, 256, (count, 1, 1, 3)) * random.uniform(0, 1, (count, 6, 8, 1))).astype(np.uint8)


def middle(values, share=0.5):
    """A score that a picture has, so that one lies exactly at the threshold."""
    return f32(np.sort(np.ravel(values))[int(share * (values.size - 1))])


def decisions(task, outputs):
    """Decisions of every form for the task, with thresholds at scores that pictures have."""
    if task.kind == "regression":
        low, high = middle(outputs, 0.2), middle(outputs, 0.8)
        return [
            DecisionSpec(margin=0.0, limits=(low, high)),
            DecisionSpec(margin=0.125, limits=(low, high)),
            DecisionSpec(margin=0.125, limits=(None, high)),
            DecisionSpec(margin=0.125, limits=(low, None)),
            DecisionSpec(margin=1e9, limits=(low, high)),
        ]
    if task.kind == "multilabel":
        low, high = (tuple(middle(outputs[:, i], share) for i in (0, 1)) for share in (0.3, 0.7))
        return [
            DecisionSpec(labels=("scratch", "rust"), pass_below=low, reject_from=high),
            DecisionSpec(labels=("rust",), pass_below=low[1:], reject_from=low[1:]),
        ]
    passing = tuple(task.classes[1:2])
    score = sum(outputs[:, i] for i, name in enumerate(task.classes) if name not in passing)
    low, high = middle(score, 0.3), middle(score, 0.7)
    above, below = (float(np.nextafter(np.float32(low), np.float32(side))) for side in (2, -1))
    return [
        DecisionSpec(pass_classes=passing, pass_below=(low,), reject_from=(high,)),
        DecisionSpec(pass_classes=passing, pass_below=(low,), reject_from=(low,)),
        DecisionSpec(pass_classes=passing, pass_below=(above,), reject_from=(above,)),
        DecisionSpec(pass_classes=passing, pass_below=(below,), reject_from=(low,)),
        DecisionSpec(decide_from=middle(outputs.max(axis=1))),
    ]


@pytest.mark.parametrize(
    "task", [BINARY, THREE, GRADES, LABELS, VALUE], ids=lambda task: f"{task.kind}{len(task.classes)}"
)
def test_the_file_gives_the_verdicts_of_numpy_also_at_the_thresholds(task):
    plain, pixels = model_of(task), batch()
    before = run_named(open_session(plain, 1), pixels)
    seen = set()
    for decision in decisions(task, decided_by(before, task)):
        proto = onnx.load_model_from_string(plain)
        add_verdict(proto, task, decision)
        after = run_named(open_session(encode_model(proto), 1), pixels)
        assert list(after) == [*before, VERDICT]
        assert all(after[name].tobytes() == before[name].tobytes() for name in before)
        expected = verdicts(task, decision, decided_by(before, task))
        assert after[VERDICT].dtype == np.int64
        np.testing.assert_array_equal(after[VERDICT], expected)
        seen |= set(words(expected))
    assert seen == set(VERDICTS) - {"unknown"}


def test_a_score_at_the_threshold_is_on_the_safe_side():
    plain, pixels = model_of(BINARY), batch()
    scores = run_named(open_session(plain, 1), pixels)["probabilities"][:, 0]
    at = float(scores[0])
    proto = onnx.load_model_from_string(plain)
    add_verdict(proto, BINARY, DecisionSpec(pass_classes=("good",), pass_below=(at,), reject_from=(at,)))
    found = run_named(open_session(encode_model(proto), 1), pixels)[VERDICT]
    assert VERDICTS[found[0]] == "reject"
    np.testing.assert_array_equal(found == 0, scores < np.float32(at))


def test_removal_gives_the_file_as_it_was_and_a_second_decision_replaces_the_first():
    plain = model_of(THREE)
    first = DecisionSpec(pass_classes=("good",), pass_below=(0.25,), reject_from=(0.5,))
    second = DecisionSpec(decide_from=0.75)
    once, twice = onnx.load_model_from_string(plain), onnx.load_model_from_string(plain)
    add_verdict(once, THREE, second)
    add_verdict(twice, THREE, first)
    add_verdict(twice, THREE, second)
    assert encode_model(once) == encode_model(twice) != plain
    remove_verdict(twice)
    assert encode_model(twice) == plain


def test_thresholds_are_named_float32_of_the_graph():
    proto = onnx.load_model_from_string(model_of(LABELS))
    add_verdict(proto, LABELS, DecisionSpec(labels=("rust", "clean"), pass_below=(0.25, 0.5), reject_from=(0.5, 0.75)))
    held = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    for name, value in (("pass_below.rust", 0.25), ("pass_below.clean", 0.5), ("reject_from.clean", 0.75)):
        assert held[f"verdict.{name}"].dtype == np.float32 and held[f"verdict.{name}"] == np.float32(value)


DECISION = DecisionSpec(pass_classes=("good",), pass_below=(0.375,), reject_from=(0.5,), escape_rate=0.05)


def bundle_of(folder, task=BINARY, sign=None):
    model, inputs = model_of(task), batch(4)
    golden = Golden(list(inputs), run_each(open_session(model, 1), inputs), 1e-3)
    manifest = Manifest({}, IMAGE, {SOLE: Line(task, {}, {})}, "fp32", "u8", {}, {})
    write_bundle(folder / "edge", {MODEL: model, GOLDEN: golden.to_bytes()}, {"passed": True}, manifest, sign)
    return folder / "edge"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_gives_its_verdicts_and_stays_the_same_otherwise(tmp_path):
    bundle = bundle_of(tmp_path)
    pictures, before, plain = list(batch(64)), contents(bundle), Runtime(bundle)
    assert plain.decision is None and all(each.verdict is None for each in plain.predict(pictures))
    write_decision(bundle, DECISION)
    runtime, after = Runtime(bundle), contents(bundle)
    assert {name for name in before if before[name] != after[name]} == {MODEL, MANIFEST, "README.md"}
    assert set(after) == set(before) and "`verdict`" in after["README.md"].decode()
    assert runtime.decision == DECISION == Manifest.read(bundle).lines[SOLE].decision
    assert json.loads(after[MANIFEST])["decision"] == json.loads(json.dumps(DECISION.to_dict()))
    fitted = [runtime.fit(each) for each in pictures]
    expected = words(verdicts(BINARY, DECISION, runtime.run(fitted)[1]))
    assert [each.verdict for each in runtime.predict(pictures)] == expected and len(set(expected)) == 3
    for one, other in zip(runtime.predict(pictures), plain.predict(pictures), strict=True):
        assert (one.label, one.score, one.probabilities) == (other.label, other.score, other.probabilities)
    write_decision(bundle, DecisionSpec(decide_from=0.75))
    write_decision(bundle, DECISION)
    assert contents(bundle) == after


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (DecisionSpec(), "no thresholds"),
        (DecisionSpec(pass_classes=("fine",), pass_below=(0.5,), reject_from=(0.5,)), "'fine', which the task has not"),
        (DecisionSpec(pass_classes=("bad", "good"), pass_below=(0.5,), reject_from=(0.5,)), "every class"),
        (DecisionSpec(margin=0.5, limits=(0.0, 1.0)), "not for a task of classification"),
        (DecisionSpec(labels=("bad",), pass_below=(0.5,), reject_from=(0.5,)), "not for a task of classification"),
        (DecisionSpec(decide_from=0.5, origin="estimated"), "an estimate puts no thresholds"),
        (DecisionSpec(decide_from=0.5, temperatures=(1.5,)), "no temperature"),
        (DecisionSpec(decide_from=0.5, strange_above=1.5), "strange_above must be null"),
    ],
)
def test_what_no_verdict_could_follow_leaves_the_bundle(decision, message, tmp_path):
    bundle = bundle_of(tmp_path)
    before = contents(bundle)
    with pytest.raises(ValueError, match=message):
        write_decision(bundle, decision)
    with pytest.raises(ValueError, match="of one line"):
        write_decision(bundle, DECISION, line="left")
    assert contents(bundle) == before and {path.name for path in tmp_path.iterdir()} == {"edge"}
