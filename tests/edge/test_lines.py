import json

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from src.edge import Runtime
from src.edge.golden import Golden
from src.edge.lines import ActiveAdapter
from src.edge.manifest import MANIFEST, MODEL, Line, Manifest, sha256
from src.edge.session import INPUT, open_session, run_session
from src.kinds import find_kind
from src.spec import ImageSpec, TaskSpec
from tests.edge.test_runtime import sealed

IMAGE = ImageSpec((6, 4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear", 1.0, "center")
HEADS = {"two": np.float32([[1, -1], [0, 0], [0, 0]]), "three": np.eye(3, dtype=np.float32) / 10}
TASKS = {"two": TaskSpec("classification", ("yes", "no")), "three": TaskSpec("classification", ("r", "g", "b"))}


def base(size=(6, 4)):
    """Logits are the mean colour times a head that comes from outside."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "sides"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "head"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["logits"], ["decision"], axis=1, keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2]), "sides"),
        numpy_helper.from_array(np.zeros((3, 2), np.float32), "head"),
    ]
    inputs = [value(INPUT, TensorProto.UINT8, ["batch", *size, 3]), value("head", TensorProto.FLOAT, [3, "classes"])]
    types = (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64)
    outputs = [value(name, kind, None) for name, kind in zip(find_kind(TASKS["two"].kind).outputs, types, strict=True)]
    model = helper.make_model(
        helper.make_graph(nodes, "base", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    tasks = {name: task.to_dict() for name, task in TASKS.items()}
    helper.set_model_props(model, {"image": json.dumps(IMAGE.to_dict()), "lines": json.dumps(tasks)})
    return model.SerializeToString()


def write_adapter(path, values):
    file = onnxruntime.AdapterFormat()
    file.set_adapter_version(1)
    file.set_model_version(1)
    file.set_parameters({name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in values.items()})
    file.export_adapter(str(path))


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / MODEL).write_bytes(base())
    inputs = np.random.default_rng(3).integers(0, 256, (2, 6, 4, 3), dtype=np.uint8)
    for name, head in HEADS.items():
        write_adapter(folder / f"{name}.onnx_adapter", {"head": head})
        adapter = ActiveAdapter((folder / f"{name}.onnx_adapter").read_bytes())
        golden = Golden(inputs, run_session(open_session(base(), 1), inputs, adapter), 1e-3)
        (folder / f"{name}.npz").write_bytes(golden.to_bytes())
    seal(folder)
    return folder


def seal(folder, tasks=TASKS):
    hashes = {path.name: sha256(path.read_bytes()) for path in folder.iterdir() if path.name != MANIFEST}
    lines = {name: Line(task, {}, {}) for name, task in tasks.items()}
    manifest = Manifest(hashes, IMAGE, lines, "fp32", "u8", {}, {})
    (folder / MANIFEST).write_text(json.dumps(manifest.to_dict()))


def red(level=200):
    picture = np.zeros((6, 4, 3), np.uint8)
    picture[..., 0] = level
    return picture


def test_each_line_has_its_own_classes(bundle):
    runtime = Runtime(bundle)
    assert runtime.lines == ("two", "three") and runtime.image == IMAGE
    for name, label in (("two", "yes"), ("three", "r"), ("two", "yes")):
        (decided,) = runtime.predict([red()], adapter=name)
        assert decided.label == label and tuple(decided.probabilities) == TASKS[name].classes
    assert runtime.line("three") is runtime.line("three") and runtime.line("two").line("three").task == TASKS["three"]


def test_without_a_line_nothing_is_decided(bundle):
    runtime = Runtime(bundle)
    for ask in (lambda: runtime.predict([red()]), lambda: runtime.task, lambda: runtime.run([red()])):
        with pytest.raises(ValueError, match="holds the lines two, three: choose one with adapter=NAME"):
            ask()


def test_an_unknown_line_is_refused(bundle):
    with pytest.raises(ValueError, match="no line 'four', the bundle holds the lines two, three"):
        Runtime(bundle).predict([red()], adapter="four")


@pytest.mark.parametrize("file", ["two.onnx_adapter", "two.npz", MODEL])
def test_a_changed_file_is_refused_at_the_start_and_cannot_reach_a_runtime_that_serves(bundle, file):
    opened, started = Runtime(bundle), Runtime(bundle)
    before = opened.predict([red()], adapter="two")
    with open(bundle / file, "r+b") as held:
        held.seek(-9, 2)
        held.write(b"\xff" * 9)
    with pytest.raises(ValueError, match="was changed or cut after its export"):
        Runtime(bundle)
    with open(bundle / file, "r+b") as held:
        held.truncate(0)
    for runtime in (opened, started):
        assert runtime.predict([red()], adapter="two") == before


def test_a_surplus_or_missing_adapter_is_refused(bundle):
    (bundle / "other.onnx_adapter").write_bytes(b"")
    with pytest.raises(ValueError, match="no part of the bundle"):
        Runtime(bundle)
    (bundle / "other.onnx_adapter").unlink()
    (bundle / "two.onnx_adapter").unlink()
    with pytest.raises(ValueError, match=r"two\.onnx_adapter is missing"):
        Runtime(bundle)
    seal(bundle)
    with pytest.raises(ValueError, match=r"has no two\.onnx_adapter"):
        Runtime(bundle).line("two")


def test_a_line_that_fails_its_own_test_does_not_serve(bundle):
    (bundle / "two.npz").write_bytes((bundle / "three.npz").read_bytes())
    seal(bundle)
    with pytest.raises(ValueError, match="golden outputs"):
        Runtime(bundle).line("two")


@pytest.mark.parametrize(
    ("name", "head"),
    [("other", np.eye(3, dtype=np.float32)), ("head", np.eye(4, dtype=np.float32)), ("head", np.eye(3))],
)
def test_an_adapter_that_does_not_fit_its_base_is_refused(bundle, name, head):
    write_adapter(bundle / "two.onnx_adapter", {name: head})
    seal(bundle)
    with pytest.raises(ValueError, match=r"the model cannot run the inputs of two\.npz"):
        Runtime(bundle).line("two")


def test_other_meanings_than_the_models_own_are_refused(bundle):
    seal(bundle, {**TASKS, "two": TaskSpec("classification", ("no", "yes"))})
    with pytest.raises(ValueError, match="is not the one of its model"):
        Runtime(bundle)
    values = json.loads((bundle / MANIFEST).read_text()) | {"task": TASKS["two"].to_dict()}
    sealed(bundle, values)
    with pytest.raises(ValueError, match="names one task and several lines"):
        Runtime(bundle)


def test_what_is_no_adapter_is_refused(bundle):
    (bundle / "two.onnx_adapter").write_bytes(b"something else")
    seal(bundle)
    with pytest.raises(ValueError, match="is no adapter that onnxruntime can read"):
        Runtime(bundle).line("two")


def test_an_old_onnxruntime_says_what_it_needs(bundle, monkeypatch):
    monkeypatch.delattr(onnxruntime, "LoraAdapter")
    with pytest.raises(ValueError, match=r"knows no adapters: install 1\.20 or newer"):
        Runtime(bundle).line("two")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(30, "Read-only file system")])
def test_a_temporary_folder_that_cannot_be_written_is_no_broken_adapter(bundle, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr("tempfile.mkdtemp", fail)
    message = rf"cannot be written \({error.strerror}\): make room there, or set TMPDIR"
    with pytest.raises(ValueError, match=message):
        Runtime(bundle).line("two")
