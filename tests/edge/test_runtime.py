import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from src.edge import ImageError, Runtime, resize
from src.edge.manifest import MANIFEST, MODEL, Manifest, sha256
from src.edge.preprocess import scale_grey
from src.edge.runtime import INPUT, OUTPUTS, open_session, run_session
from src.spec import ImageSpec, Measurement, TaskSpec

IMAGE = ImageSpec((6, 4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear", 1.0, "center")
TASK = TaskSpec("classification", ("red", "green", "blue"))


def mean_colour_graph(image=IMAGE, task=TASK):
    """A network whose logits are the mean of each channel over 10."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "sides"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "ten"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["logits"], ["decision"], axis=1, keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2]), "sides"),
        numpy_helper.from_array(np.float32(10), "ten"),
    ]
    inputs = [value(INPUT, TensorProto.UINT8, ["batch", *image.size, 3])]
    types = (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64)
    outputs = [value(name, kind, None) for name, kind in zip(OUTPUTS, types, strict=True)]
    graph = helper.make_graph(nodes, "mean", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {"image": json.dumps(image.to_dict()), "task": json.dumps(task.to_dict())})
    return model.SerializeToString()


def write_bundle(folder, image=IMAGE):
    model = mean_colour_graph(image)
    folder.mkdir()
    (folder / MODEL).write_bytes(model)
    manifest = Manifest({MODEL: sha256(model)}, image, TASK, "fp32", {})
    (folder / MANIFEST).write_text(json.dumps(manifest.to_dict()))
    return folder


@pytest.fixture
def bundle(tmp_path):
    return write_bundle(tmp_path / "edge")


def pictures(count, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (*random.integers(1, 30, 2), 3), dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 5])
def test_decisions_are_those_of_the_resized_pictures(bundle, count):
    decisions = Runtime(bundle).predict(pictures(count))
    logits = np.stack([resize(picture, IMAGE).mean(axis=(0, 1)) / 10 for picture in pictures(count)])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for decision, row in zip(decisions, expected, strict=True):
        assert decision.label == TASK.classes[row.argmax()]
        assert decision.score == max(decision.probabilities.values())
        assert list(decision.probabilities) == list(TASK.classes)
        np.testing.assert_allclose(list(decision.probabilities.values()), row, rtol=1e-4, atol=1e-7)


def test_run_gives_logits_probabilities_and_decision(bundle):
    batch = np.stack([resize(picture, IMAGE) for picture in pictures(4)])
    logits, probabilities, decision = Runtime(bundle, threads=1).run(batch)
    np.testing.assert_allclose(logits, batch.mean(axis=(1, 2)) / 10, rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(decision, logits.argmax(axis=1))


def test_run_folder_and_link_and_file_name_the_same_bundle(bundle, tmp_path):
    (tmp_path / "latest").symlink_to(".")
    for path in (tmp_path, tmp_path / "latest", str(bundle / MODEL)):
        assert Runtime(path).predict(pictures(2)) == Runtime(bundle).predict(pictures(2))


def test_grey_arrays_of_16_bits_are_scaled_by_the_manifests_depth(tmp_path):
    image = replace(IMAGE, bit_depth=12)
    folder = write_bundle(tmp_path / "edge", image)
    levels = np.random.default_rng(0).integers(0, 4096, (9, 11)).astype(np.uint16)
    grey, rgb = Runtime(folder).predict([levels, scale_grey(levels, 12)])
    assert grey == rgb
    for wrong, message in (
        (levels + np.uint16(4096), "white is 4095 at 12 bits"),
        (levels[..., None], "H x W x 3"),
        (levels.astype(np.int32), "H x W x 3"),
    ):
        with pytest.raises(ImageError, match=message):
            Runtime(folder).predict([wrong])


def test_a_bundle_from_before_there_were_depths_has_16_bits(bundle):
    held = json.loads((bundle / MANIFEST).read_text())
    model = onnx.load(bundle / MODEL)
    specs = {item.key: json.loads(item.value) for item in model.metadata_props}
    for image in (held["image"], specs["image"]):
        del image["bit_depth"]
    helper.set_model_props(model, {key: json.dumps(value) for key, value in specs.items()})
    onnx.save(model, bundle / MODEL)
    held["files"][MODEL] = sha256((bundle / MODEL).read_bytes())
    (bundle / MANIFEST).write_text(json.dumps(held))
    assert Runtime(bundle).image == IMAGE


def test_nothing_to_decide(bundle):
    assert Runtime(bundle).predict([]) == []


def test_specs_are_those_of_the_manifest(bundle):
    runtime = Runtime(bundle)
    assert (runtime.image, runtime.task) == (IMAGE, TASK)


@pytest.mark.parametrize("change", [lambda data: data[:-9], lambda data: data + b"\0", lambda data: b""])
def test_a_changed_model_is_refused(bundle, change):
    (bundle / MODEL).write_bytes(change((bundle / MODEL).read_bytes()))
    with pytest.raises(ValueError, match=r"model\.onnx was changed or cut .*: copy the bundle again"):
        Runtime(bundle)


@pytest.mark.parametrize(
    ("key", "values"),
    [("task", {"classes": ["green", "red", "blue"]}), ("image", {"crop_pct": 0.9})],
)
def test_a_changed_manifest_is_refused(bundle, key, values):
    held = json.loads((bundle / MANIFEST).read_text())
    held[key] |= values
    (bundle / MANIFEST).write_text(json.dumps(held))
    with pytest.raises(ValueError, match="is not the one of its model: export the model again"):
        Runtime(bundle)


def test_a_model_that_onnxruntime_cannot_load_is_refused():
    future = onnx.load_from_string(mean_colour_graph())
    future.ir_version = 999
    for data in (b"", b"no model", future.SerializeToString()):
        with pytest.raises(ValueError, match="cannot load the model, update it"):
            open_session(data, 1)


def test_threads_are_counted_from_one(bundle):
    with pytest.raises(ValueError, match="threads must be at least 1, not 0"):
        Runtime(bundle, threads=0)


def test_session_does_not_spin_and_keeps_to_the_cpu():
    session = open_session(mean_colour_graph(), 2)
    assert session.get_session_options().get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert session.get_session_options().intra_op_num_threads == 2
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert run_session(session, np.zeros((3, 6, 4, 3), np.uint8))[2].tolist() == [0, 0, 0]


def test_labels_and_values_are_told_as_such():
    runtime = Runtime.__new__(Runtime)
    runtime.task = TaskSpec("multilabel", ("rust", "scab", "rot"))
    decision = runtime._decision(np.float32([0.9, 0.2, 0.6]), np.array([1, 0, 1]))
    assert (decision.label, decision.score) == ("rust|rot", pytest.approx(0.6))
    assert runtime._decision(np.float32([0.1, 0.2, 0.3]), np.array([0, 0, 0])).label == ""
    runtime.task = TaskSpec("regression", ("value",))
    assert runtime._decision(np.zeros(0, np.float32), np.float32(1.5)) == Measurement(1.5)
