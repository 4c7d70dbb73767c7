import numpy as np
import pytest
from PIL import Image

from src.edge.annotate import Annotator, draw
from src.edge.decide import Decided
from src.edge.frames import Frame, Prepared
from src.edge.inputs import Pictures, find_source
from src.spec import Decision, Measurement
from tests.test_atomic import files_up_to

PIXELS = np.full((60, 80, 3), 200, np.uint8)


def test_the_text_stands_above_the_unchanged_picture():
    drawn = np.asarray(draw(PIXELS, "good 0.750"))
    assert np.array_equal(drawn[-60:, :80], PIXELS)
    strip = drawn[:-60]
    assert 8 < len(strip) < 40 and strip.max() > 200 and strip.min() == 0
    assert draw(PIXELS, "a name that is much longer than the picture is wide 0.750").width > 200


def test_decided_pictures_are_written_under_their_names(tmp_path):
    root = tmp_path / "in"
    (root / "deep").mkdir(parents=True)
    Image.fromarray(PIXELS).save(root / "deep/a.png")
    annotator = Annotator(str(tmp_path / "out"), find_source(str(root)))
    for name, decision in (("deep/a.png", Decision("good", 0.75, {})), ("b.png", Measurement(1.5)), ("c.png", None)):
        frame = Frame(str(root / name), name, lambda _: PIXELS)
        annotator.write(Decided(Prepared(frame, 1.0, PIXELS, PIXELS), decision, 1.0))
    written = sorted(
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert written == ["b.png.jpg", "deep/a.png.jpg"]
    assert np.abs(np.asarray(Image.open(tmp_path / "out/deep/a.png.jpg"))[-60:, :80].astype(int) - 200).max() <= 6


def test_the_verdict_stands_first(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("src.edge.annotate.draw", lambda pixels, text: drawn.append(text) or Image.fromarray(pixels))
    annotator, frame = Annotator(str(tmp_path / "out"), Pictures(())), Frame("a.png", "a", lambda _: PIXELS)
    for decision in (Decision("good", 0.75, {}, "review"), Decision("good", 0.75, {}), Measurement(1.5, "reject")):
        annotator.write(Decided(Prepared(frame, 1.0, PIXELS, PIXELS), decision, 1.0))
    assert drawn == ["review: good 0.750", "good 0.750", "reject: 1.5"]


def test_originals_are_never_touched(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    Image.fromarray(PIXELS).save(root / "a.png")
    for folder in (root, root / "out", tmp_path):
        with pytest.raises(ValueError, match="choose a folder outside"):
            Annotator(str(folder), find_source(str(root)))
    with pytest.raises(ValueError, match="is a file: name a folder"):
        Annotator(str(root / "a.png"), find_source(str(root)))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot be made .*: choose another folder"):
        Annotator(str(tmp_path / "file" / "copies"), Pictures((tmp_path / "a.png",)))


def test_a_copy_that_cannot_be_written_costs_no_decision(tmp_path, caplog):
    root = tmp_path / "in"
    root.mkdir()
    Image.fromarray(PIXELS).save(root / "a.png")
    annotator = Annotator(str(tmp_path / "out"), find_source(str(root)))
    frame = Frame("a.png", "n" * 250, lambda _: PIXELS)
    annotator.write(Decided(Prepared(frame, 1.0, PIXELS, PIXELS), Decision("good", 0.75, {}), 1.0))
    assert "no annotated copy of a.png" in caplog.text


def test_a_full_disk_leaves_the_earlier_copy_and_is_told(tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    annotator = Annotator(str(tmp_path / "out"), Pictures((tmp_path / "a.png",)))
    frame = Frame("a.png", "a.png", lambda _: noise)
    annotator.write(Decided(Prepared(frame, 1.0, noise, PIXELS), Decision("good", 0.75, {}), 1.0))
    earlier = (tmp_path / "out/a.png.jpg").read_bytes()
    with files_up_to(10_000):
        annotator.write(Decided(Prepared(frame, 1.0, noise, noise), Decision("good", 0.75, {}), 1.0))
    assert "no annotated copy of a.png" in caplog.text and "a.png.jpg cannot be written (File too large)" in caplog.text
    assert (tmp_path / "out/a.png.jpg").read_bytes() == earlier and len(list((tmp_path / "out").iterdir())) == 1
