import hashlib
import json
import os

import numpy as np
import pytest

from src.deploy.bundle import require_replaceable, write_bundle, write_refusal
from src.edge.golden import Golden
from src.edge.manifest import SOLE, Line, Manifest
from tests.deploy.nets import IMAGE, TASK, verdict

PROVENANCE = {"adapter": "12ab", "base": "test", "date": "2025-01-01", "versions": {"torch": "2"}}
ONE = {SOLE: Line(TASK, PROVENANCE, verdict().summary())}
GOLDEN = Golden([np.zeros((2, 3), np.uint8)], (np.ones((1, 2), np.float32),), 0.5)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(folder, model=b"a model"):
    manifest = Manifest({}, IMAGE, ONE, "fp32", "u8", PROVENANCE, verdict().summary())
    write_bundle(folder, {"model.onnx": model, "golden.npz": GOLDEN.to_bytes()}, verdict().to_dict(), manifest)


def test_what_is_no_bundle_is_not_replaced_and_a_bundle_holds_no_other(tmp_path):
    bundle, refusal = tmp_path / "edge", tmp_path / "edge-refused-int8"
    require_replaceable(bundle, refusal)
    write(bundle)
    write_refusal(refusal, {})
    require_replaceable(bundle, refusal)
    with pytest.raises(ValueError, match="lies in the bundle"):
        require_replaceable(bundle / "sub" / "edge", refusal)
    (refusal / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="where the figures of a refusal belong"):
        require_replaceable(bundle, refusal)
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    require_replaceable(folder, tmp_path / "none")  # nothing is in it: an export may have made it for itself
    for path in (folder / "notes.txt", file):
        path.write_text("mine")
    for path in (folder, file):
        with pytest.raises(ValueError, match="is no bundle: move it away"):
            require_replaceable(path, tmp_path / "none")


def test_the_manifest_holds_the_hash_of_every_other_file(tmp_path):
    write(tmp_path / "edge")
    held = contents(tmp_path / "edge")
    manifest = json.loads(held["manifest.json"])
    assert set(held) == {"model.onnx", "manifest.json", "parity.json", "golden.npz", "README.md"}
    assert manifest["files"] == {
        name: hashlib.sha256(data).hexdigest() for name, data in held.items() if name != "manifest.json"
    }
    assert manifest["provenance"] == PROVENANCE and manifest["precision"] == "fp32"
    assert json.loads(held["parity.json"]) == verdict().to_dict()
    assert manifest["parity"].items() <= verdict().to_dict().items() and manifest["parity"]["images"] == 100
    assert held["golden.npz"] == GOLDEN.to_bytes()
    lines = [line for line in held["README.md"].decode().splitlines() if line.startswith("    ")]
    assert len(lines) == 3 and lines[-1].strip().startswith("graft predict model=")


@pytest.mark.parametrize("broken", ["atomic.put_in_place", "deploy.bundle.write_json", "deploy.bundle.sha256"])
def test_a_stop_on_the_way_leaves_the_earlier_bundle(tmp_path, monkeypatch, broken):
    write(tmp_path / "edge")
    before = contents(tmp_path / "edge")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"src.{broken}", stop)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "edge", b"another model")
    assert contents(tmp_path / "edge") == before and os.listdir(tmp_path) == ["edge"]


def test_a_refusal_replaces_an_earlier_one(tmp_path):
    (tmp_path / "refused").mkdir()
    (tmp_path / "refused" / "parity.json").write_text("old")
    write_refusal(tmp_path / "refused", verdict().to_dict())
    assert os.listdir(tmp_path) == ["refused"] and os.listdir(tmp_path / "refused") == ["parity.json"]
    assert json.loads((tmp_path / "refused" / "parity.json").read_text()) == verdict().to_dict()


def test_a_shared_bundle_names_its_lines_and_how_to_choose_one(tmp_path):
    lines = {"left": ONE[SOLE], "right": ONE[SOLE]}
    manifest = Manifest({}, IMAGE, lines, "fp32", "u8", PROVENANCE, verdict().summary())
    write_bundle(tmp_path / "shared", {"model.onnx": b"a model"}, verdict().to_dict(), manifest)
    text = (tmp_path / "shared" / "README.md").read_text()
    assert "`left`, `right`" in text and " adapter=left input=" in text and "golden.npz" not in text
    assert Manifest.read(tmp_path / "shared").lines == lines


def test_a_signature_is_over_the_manifest_and_no_surplus_file(tmp_path):
    manifest = Manifest({}, IMAGE, ONE, "fp32", "u8", PROVENANCE, verdict().summary())
    write_bundle(tmp_path / "edge", {"model.onnx": b"a model"}, {}, manifest, sign=lambda content: b"by me: " + content)
    held = contents(tmp_path / "edge")
    assert held["manifest.sig"] == b"by me: " + held["manifest.json"]
    assert "model.onnx" in Manifest.read(tmp_path / "edge").read_files(tmp_path / "edge")
