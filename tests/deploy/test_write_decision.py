import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from src.decision import DecisionSpec, verdicts, words
from src.deploy.bundle import write_bundle
from src.deploy.decide import write_decision
from src.deploy.verdict_nodes import add_verdict
from src.edge import Runtime
from src.edge.golden import GOLDEN, Golden
from src.edge.manifest import MANIFEST, MODEL, SOLE, Line, Manifest, sha256
from src.edge.session import open_session, run_each
from src.edge.signature import SIGNATURE
from tests.deploy.test_verdict_nodes import BINARY, IMAGE, VALUE, batch, model_of

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


def test_a_changed_threshold_is_refused_by_the_hash_by_the_decision_and_by_the_golden_samples(tmp_path):
    bundle = bundle_of(tmp_path)
    write_decision(bundle, DECISION)
    whole = contents(bundle)
    proto = onnx.load_model_from_string(whole[MODEL])
    (threshold,) = (item for item in proto.graph.initializer if item.name == "verdict.pass_below")
    threshold.CopyFrom(numpy_helper.from_array(np.float32(2), threshold.name))
    (bundle / MODEL).write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match=r"model\.onnx was changed"):
        Runtime(bundle)
    reseal(bundle, lambda values: None)  # whoever knows the hashes is found out by the golden samples
    with pytest.raises(ValueError, match="verdicts of the file are not those of its decision"):
        Runtime(bundle)
    (bundle / MODEL).write_bytes(whole[MODEL])
    for change in (
        lambda values: values["decision"].update(pass_below=[0.4375]),
        lambda values: values.pop("decision"),
        lambda values: values["decision"].update(escape_rate=0.01),
    ):
        (bundle / MANIFEST).write_bytes(whole[MANIFEST])
        reseal(bundle, change)
        with pytest.raises(ValueError, match="is not the one of its model"):
            Runtime(bundle)
    (bundle / MANIFEST).write_bytes(whole[MANIFEST].replace(b"0.375", b"0.4375"))
    with pytest.raises(ValueError, match="changed after its export"):
        Runtime(bundle)


def reseal(bundle, change):
    values = json.loads((bundle / MANIFEST).read_text())
    del values["sha256"]
    change(values)
    values["files"][MODEL] = sha256((bundle / MODEL).read_bytes())
    stated = sha256(json.dumps(values, sort_keys=True).encode())
    (bundle / MANIFEST).write_text(json.dumps(values | {"sha256": stated}))


def test_a_signed_bundle_is_signed_anew_and_stays_without_a_key(tmp_path):
    bundle = bundle_of(tmp_path, sign=lambda content: b"first" + content[:9])
    before = contents(bundle)
    with pytest.raises(ValueError, match="is signed: sign the new one too, by sign=KEY"):
        write_decision(bundle, DECISION)
    assert contents(bundle) == before
    write_decision(bundle, DECISION, sign=lambda content: sha256(content).encode())
    assert (bundle / SIGNATURE).read_bytes() == sha256((bundle / MANIFEST).read_bytes()).encode()
    assert Runtime(bundle).decision == DECISION


def certificate(model):
    return {"certificate.json": json.dumps({"model": sha256(model)}).encode()}


def test_further_files_belong_to_the_bundle_until_the_next_decision(tmp_path):
    bundle = bundle_of(tmp_path)
    write_decision(bundle, DECISION, beside=certificate)
    told = json.loads((bundle / "certificate.json").read_text())
    assert told == {"model": sha256((bundle / MODEL).read_bytes())} and Runtime(bundle).decision == DECISION
    (bundle / "certificate.json").write_text("{}")
    with pytest.raises(ValueError, match=r"certificate\.json was changed"):
        Runtime(bundle)
    with pytest.raises(ValueError, match=r"certificate\.json was changed"):
        write_decision(bundle, DECISION)
    (bundle / "certificate.json").write_text(json.dumps(told))
    write_decision(bundle, DECISION)
    assert not (bundle / "certificate.json").exists()


@pytest.mark.parametrize("place", ["atomic.put_in_place", "deploy.decide.encode_model", "deploy.bundle.sha256"])
def test_a_stop_on_the_way_leaves_the_earlier_bundle(tmp_path, monkeypatch, place):
    bundle = bundle_of(tmp_path)
    before = contents(bundle)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"src.{place}", stop)
    with pytest.raises(KeyboardInterrupt):
        write_decision(bundle, DECISION)
    assert contents(bundle) == before and [path.name for path in tmp_path.iterdir()] == ["edge"]


def test_a_file_that_would_give_other_outputs_is_refused(tmp_path, monkeypatch):
    bundle = bundle_of(tmp_path)
    before = contents(bundle)

    def scaled(proto, task, decision):
        add_verdict(proto, task, decision)
        (weight,) = (item for item in proto.graph.initializer if (item.data_type, *item.dims) == (TensorProto.FLOAT, 2))
        weight.CopyFrom(
            numpy_helper.from_array(np.nextafter(numpy_helper.to_array(weight), np.float32(9)), weight.name)
        )

    def deaf(proto, task, decision):
        add_verdict(proto, task, DecisionSpec(pass_classes=("good",), pass_below=(0.0,), reject_from=(0.0,)))

    for broken, message in ((scaled, "would give other"), (deaf, "verdicts of the file are not")):
        monkeypatch.setattr("src.deploy.decide.add_verdict", broken)
        with pytest.raises(ValueError, match=message):
            write_decision(bundle, DECISION)
    assert contents(bundle) == before


def test_a_value_has_a_verdict(tmp_path):
    bundle = bundle_of(tmp_path, VALUE)
    decision = DecisionSpec(margin=0.25, limits=(2.5, None))
    write_decision(bundle, decision)
    runtime, pictures = Runtime(bundle), list(batch(64))
    found = runtime.predict(pictures)
    values = np.array([each.value for each in found])
    expected = np.where(values >= 2.75, "pass", np.where(values < 2.25, "reject", "review"))
    assert [each.verdict for each in found] == expected.tolist() and len(set(expected)) == 3


def test_a_shared_base_is_refused(tmp_path):
    bundle = bundle_of(tmp_path)
    manifest = Manifest.read(bundle)
    line = manifest.lines[SOLE]
    shared = Manifest(
        **{**{key: getattr(manifest, key) for key in manifest.__dataclass_fields__}, "lines": {"a": line, "b": line}}
    )
    (bundle / MANIFEST).write_text(json.dumps(shared.to_dict()))
    for name in ("a", None):
        with pytest.raises(ValueError, match=r"a shared base cannot be certified yet \(a, b\)"):
            write_decision(bundle, DECISION, name)


def test_a_bundle_that_is_not_served_gets_no_thresholds(tmp_path):
    bundle = bundle_of(tmp_path)
    whole = contents(bundle)
    golden = Golden.from_bytes(whole[GOLDEN])
    other = Golden(golden.inputs, (golden.outputs[0] + 1, *golden.outputs[1:]), golden.tolerance)
    (bundle / GOLDEN).write_bytes(other.to_bytes())
    reseal(bundle, lambda values: values["files"].update({GOLDEN: sha256(other.to_bytes())}))
    with pytest.raises(ValueError, match="does not give its own golden outputs"):
        write_decision(bundle, DECISION)
    (bundle / "parity.json").unlink()
    reseal(bundle, lambda values: values["files"].pop("parity.json"))
    with pytest.raises(ValueError, match=r"has no parity\.json: export the model again"):
        write_decision(bundle, DECISION)


def test_the_new_bundle_is_served_before_it_replaces_the_old_one(tmp_path, monkeypatch):
    bundle = bundle_of(tmp_path)
    before, opened = contents(bundle), []

    def open_bundle(folder):
        opened.append(folder)
        if folder != bundle:
            assert contents(bundle) == before and Runtime(folder).decision == DECISION
            raise ValueError("not served")

    monkeypatch.setattr("src.deploy.decide.Runtime", open_bundle)
    with pytest.raises(ValueError, match="not served"):
        write_decision(bundle, DECISION)
    assert len(opened) == 2 and contents(bundle) == before and [path.name for path in tmp_path.iterdir()] == ["edge"]
