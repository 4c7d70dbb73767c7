import hashlib
import json
from dataclasses import replace

import pytest

from src.edge.manifest import FORMAT, MANIFEST, MODEL, SOLE, Line, Manifest, find_bundle, sha256
from src.spec import DecisionSpec, ImageSpec, TaskSpec

TASK = TaskSpec("classification", ("bad", "good"), "bad", ("identity", "both"))
HELD = Manifest(
    files={MODEL: "ab"},
    image=ImageSpec((6, 4), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2), "bicubic", 0.9, "center"),
    lines={SOLE: Line(TASK, {"adapter": "cd"}, {"images": 3})},
    precision="fp32",
    profile="u8",
    provenance={"adapter": "cd"},
    parity={"images": 3},
)


def written(folder, values):
    (folder / MANIFEST).write_text(values if isinstance(values, str) else json.dumps(values))
    return folder


def test_round_trip_through_json(tmp_path):
    assert Manifest.read(written(tmp_path, HELD.to_dict())) == HELD


def test_one_line_is_written_as_the_task_and_several_as_lines(tmp_path):
    one = HELD.to_dict()
    assert list(one) == [
        *("files", "image", "task", "precision", "profile", "provenance", "parity", "lines", "format", "sha256")
    ]
    assert one["task"]["classes"] == ("bad", "good") and one["lines"] == {}
    assert HELD.task == TASK and HELD.names == ()
    line = HELD.lines[SOLE]
    several = replace(HELD, lines={"left": line, "right": line})
    held = several.to_dict()
    assert held["task"] is None and set(held["lines"]) == {"left", "right"} == set(several.names)
    assert list(held) == list(one) and Manifest.read(written(tmp_path, held)) == several
    with pytest.raises(ValueError, match="holds the lines left, right: choose one with adapter=NAME"):
        _ = several.task


def test_a_manifest_of_before_lines_is_read(tmp_path):
    values = {key: value for key, value in HELD.to_dict().items() if key not in ("lines", "sha256")}
    stated = sha256(json.dumps(values, sort_keys=True).encode())
    assert Manifest.read(written(tmp_path, values | {"sha256": stated})) == HELD


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (HELD.to_dict() | {"lines": {"": {}}, "task": None}, "one task and several lines"),
        ("{", "it is damaged .*: copy the bundle again, or"),
        ("[]", rf"reads format {FORMAT}\): export"),
        (HELD.to_dict() | {"format": FORMAT + 1}, rf"reads format {FORMAT}\): update Graft, or"),
        (HELD.to_dict() | {"format": FORMAT - 1}, rf"reads format {FORMAT}\): export"),
        (HELD.to_dict() | {"files": ["model.onnx"]}, "lists no files"),
        (HELD.to_dict() | {"extra": 1}, "extra"),
        (HELD.to_dict() | {"parity": {"images": 4}}, "it was changed after its export"),
        (HELD.to_dict() | {"sha256": None}, "it was changed after its export"),
        (HELD.to_dict() | {"image": HELD.image.to_dict() | {"size": [0, 4]}}, "image size"),
        (HELD.to_dict() | {"image": HELD.image.to_dict() | {"size": "big"}}, MANIFEST),
        (HELD.to_dict() | {"task": {"kind": "classification"}}, "missing keys"),
        ({key: value for key, value in HELD.to_dict().items() if key != "task"}, "task"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(tmp_path, values, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        Manifest.read(written(tmp_path, values))
    assert str(caught.value).endswith("export the model again")


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"manifest\.json is missing"):
        Manifest.read(tmp_path)


def test_every_way_to_name_a_bundle(tmp_path):
    edge = tmp_path / "runs" / "one" / "edge"
    edge.mkdir(parents=True)
    (edge / MODEL).write_bytes(b"")
    latest = tmp_path / "latest"
    latest.symlink_to("runs/one")
    assert find_bundle(edge) == find_bundle(str(edge / MODEL)) == find_bundle(edge.parent) == edge
    assert find_bundle(latest) == latest / "edge"


@pytest.mark.parametrize("name", [".", "gone", "adapter.safetensors"])
def test_no_bundle_says_how_to_make_one(tmp_path, name):
    (tmp_path / "adapter.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no bundle at .* python -m src\.export"):
        find_bundle(tmp_path / name)


def test_sha256():
    assert sha256(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_a_decision_stands_beside_the_task_where_there_is_one(tmp_path):
    decision = DecisionSpec(pass_classes=("good",), pass_below=(0.25,), reject_from=(0.5,), confidence=0.95)
    line = replace(HELD.lines[SOLE], decision=decision)
    one, several = (replace(HELD, lines=lines) for lines in ({SOLE: line}, {"left": line, "right": HELD.lines[SOLE]}))
    for manifest in (one, several):
        assert Manifest.read(written(tmp_path, manifest.to_dict())) == manifest
    assert list(one.to_dict()) == [*list(HELD.to_dict())[:-1], "decision", "sha256"]
    assert ["decision" in each for each in several.to_dict()["lines"].values()] == [True, False]
    for wrong in (None, decision.to_dict() | {"pass_below": [0.9]}, decision.to_dict() | {"more": 1}):
        values = {key: value for key, value in HELD.to_dict().items() if key != "sha256"} | {"decision": wrong}
        values |= {"sha256": sha256(json.dumps(values, sort_keys=True).encode())}
        with pytest.raises(ValueError, match=r"manifest\.json cannot be used"):
            Manifest.read(written(tmp_path, values))
