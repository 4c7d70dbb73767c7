import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from src.edge import ImageError, Runtime, resize
from src.edge.golden import GOLDEN, Golden
from src.edge.manifest import MANIFEST, MODEL, SOLE, Line, Manifest, sha256
from src.edge.preprocess import scale_grey
from src.edge.session import INPUT, Session, open_session, run_named, run_session
from src.kinds import find_kind
from src.spec import ImageSpec, TaskSpec

IMAGE = ImageSpec((6, 4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear", 1.0, "center")
TASK = TaskSpec("classification", ("red", "green", "blue"))


def mean_colour_graph(image=IMAGE, task=TASK, taken=None):
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
    inputs = [value(INPUT, TensorProto.UINT8, ["batch", *(taken or image.size), 3])]
    types = (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64)
    outputs = [value(name, kind, None) for name, kind in zip(find_kind(TASK.kind).outputs, types, strict=True)]
    graph = helper.make_graph(nodes, "mean", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {"image": json.dumps(image.to_dict()), "task": json.dumps(task.to_dict())})
    return model.SerializeToString()


def write_bundle(folder, image=IMAGE, model=None, golden=None):
    model = model or mean_colour_graph(image)
    inputs = np.random.default_rng(3).integers(0, 256, (2, *image.size, 3), dtype=np.uint8)
    golden = golden or Golden(inputs, run_session(open_session(mean_colour_graph(image), 1), inputs), 1e-3)
    folder.mkdir()
    contents = {MODEL: model, GOLDEN: golden.to_bytes()}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    hashes = {name: sha256(content) for name, content in contents.items()}
    manifest = Manifest(hashes, image, {SOLE: Line(TASK, {}, {})}, "fp32", "u8", {}, {})
    (folder / MANIFEST).write_text(json.dumps(manifest.to_dict()))
    return folder


def sealed(bundle, values):
    """Write a changed manifest as one would who knows that it holds its own hash."""
    values = {key: value for key, value in values.items() if key != "sha256"}
    stated = sha256(json.dumps(values, sort_keys=True).encode())
    (bundle / MANIFEST).write_text(json.dumps(values | {"sha256": stated}))


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
    sealed(bundle, held)
    assert Runtime(bundle).image == IMAGE


def test_nothing_to_decide(bundle):
    assert Runtime(bundle).predict([]) == [] == Runtime(bundle).decide([])


def test_a_folder_in_the_place_of_a_file_is_refused(bundle):
    (bundle / GOLDEN).unlink()
    (bundle / GOLDEN).mkdir()
    with pytest.raises(ValueError, match=r"golden\.npz cannot be read .*: copy the bundle again"):
        Runtime(bundle)


def test_a_manifest_too_deep_to_read_is_refused(bundle):
    (bundle / MANIFEST).write_text("[" * 200_000)
    with pytest.raises(ValueError, match=r"manifest\.json cannot be used"):
        Runtime(bundle)


def test_what_is_no_list_of_arrays_is_refused(bundle):
    runtime = Runtime(bundle)
    with pytest.raises(TypeError, match=r"predict\(\[picture\]\)"):
        runtime.predict(np.zeros((40, 30, 3), np.uint8))
    with pytest.raises(TypeError, match=r"decide\(\[load\(path\)\]\)"):
        runtime.predict(["part.png"])
    pictures = np.zeros((2, 40, 30, 3), np.uint8)
    assert len(runtime.predict(pictures)) == 2 == len(runtime.predict(iter(pictures)))


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
    with pytest.raises(ValueError, match=r"it was changed after its export.*export the model again"):
        Runtime(bundle)
    sealed(bundle, held)
    with pytest.raises(ValueError, match="is not the one of its model: export the model again"):
        Runtime(bundle)


@pytest.mark.parametrize("key", ["precision", "provenance", "parity", "files"])
def test_every_field_of_the_manifest_is_sealed(bundle, key):
    held = json.loads((bundle / MANIFEST).read_text())
    held[key] = "int8" if key == "precision" else held[key] | {"more": 1}
    (bundle / MANIFEST).write_text(json.dumps(held))
    with pytest.raises(ValueError, match="it was changed after its export"):
        Runtime(bundle)


def test_missing_surplus_and_changed_files_are_named(bundle):
    (bundle / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"notes\.txt is no part of the bundle: remove it"):
        Runtime(bundle)
    (bundle / "notes.txt").unlink()
    (bundle / "folder").mkdir()
    with pytest.raises(ValueError, match="folder is no part of the bundle"):
        Runtime(bundle)
    (bundle / "folder").rmdir()
    golden = (bundle / GOLDEN).read_bytes()
    (bundle / GOLDEN).write_bytes(golden + b"0")
    with pytest.raises(ValueError, match=r"golden\.npz was changed or cut"):
        Runtime(bundle)
    (bundle / GOLDEN).unlink()
    with pytest.raises(ValueError, match=r"golden\.npz is missing: copy the whole bundle"):
        Runtime(bundle)


def test_a_machine_that_decides_otherwise_does_not_serve(bundle, tmp_path):
    golden = Golden.from_bytes((bundle / GOLDEN).read_bytes())
    logits, probabilities, decision = golden.outputs
    for outputs in (
        (logits + 2e-3 * max(1, np.abs(logits).max()), probabilities, decision),
        (logits, probabilities, (decision + 1) % 3),
        (logits[:1], probabilities, decision),
        (logits * np.nan, probabilities, decision),
    ):
        other = write_bundle(tmp_path / str(len(list(tmp_path.iterdir()))), golden=Golden(golden.inputs, outputs, 1e-3))
        with pytest.raises(ValueError, match="does not give its own golden outputs on this machine"):
            Runtime(other)


def test_a_model_that_is_not_ours_is_refused(bundle, tmp_path):
    model = onnx.load(bundle / MODEL)
    model.graph.output[2].name = model.graph.node[-1].output[0] = "index"
    with pytest.raises(ValueError, match="this is no model of Graft"):
        Runtime(write_bundle(tmp_path / "other", model=model.SerializeToString()))


def test_threads_are_counted_from_one(bundle):
    with pytest.raises(ValueError, match="threads must be at least 1, not 0"):
        Runtime(bundle, threads=0)


def test_a_bundle_tests_itself_with_the_memory_of_one_picture(bundle, monkeypatch):
    sizes = []

    def noted(session, batch, adapter):
        sizes.append(len(batch))
        return run_batch(session, batch, adapter)

    run_batch = Session.run_batch
    monkeypatch.setattr(Session, "run_batch", noted)
    Runtime(bundle)
    assert sizes == [1, 1]


def test_numbers_that_are_not_finite_are_no_decision(bundle, monkeypatch):
    runtime = Runtime(bundle)
    found = run_named(runtime._session, np.zeros((1, 6, 4, 3), np.uint8))
    monkeypatch.setattr("src.edge.runtime.run_named", lambda *_: found | {"logits": found["logits"] * np.nan})
    with pytest.raises(ImageError, match="no finite numbers"):
        runtime.predict(pictures(1))


def test_how_an_array_lies_in_memory_changes_no_decision(bundle):
    runtime, colour = Runtime(bundle), np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    grey = np.random.default_rng(1).integers(0, 65536, (9, 11), dtype=np.uint16)
    for picture, others in ((colour, _arranged(colour)), (grey, [*_arranged(grey), grey.astype(">u2")])):
        (expected,) = runtime.predict([picture])
        for other in others:
            assert runtime.predict([other]) == [expected]
            assert runtime.predict([other, picture]) == runtime.predict([picture, picture])


def _arranged(picture):
    """Return the same values, read-only, with gaps, backwards, and in another order of the axes."""
    frozen = picture.copy()
    frozen.flags.writeable = False
    backwards = [np.flip(np.flip(picture, axis).copy(), axis) for axis in range(picture.ndim)]
    return [frozen, *backwards, np.asfortranarray(picture), np.repeat(picture, 2, axis=1)[:, ::2]]
