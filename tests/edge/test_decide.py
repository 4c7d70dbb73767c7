import threading

import numpy as np
import pytest

from src.edge.decide import decide
from src.edge.frames import Frame, Source
from src.edge.preprocess import ImageError, resize
from src.spec import Decision, ImageSpec

IMAGE = ImageSpec((6, 4), (0.0,) * 3, (1.0,) * 3, "bilinear", 1.0, "squash")


class Shades:
    """A runtime whose decision is the shade of the picture; it notes the size of each run."""

    image = IMAGE

    def __init__(self):
        self.runs = []

    def fit(self, pixels):
        return resize(pixels, IMAGE)

    def decide(self, batch):
        self.runs.append(len(batch))
        return [Decision(str(int(each.mean())), 1.0, {}) for each in batch]


class Pictures(Source):
    """Pictures of rising shades, every fifth broken; it notes the most that were read and not yet decided."""

    def __init__(self, count, live=False):
        self.count, self.live, self.read = count, live, 0

    def frames(self, stop):
        for number in range(self.count):
            if stop.is_set():
                return
            yield Frame(f"{number}.png", f"{number}", lambda _, number=number: self.open(number))

    def open(self, number):
        self.read = number + 1
        if number % 5 == 4:
            raise ImageError("broken")
        return np.full((9, 9, 3), number % 251, np.uint8)


@pytest.mark.parametrize("batch", [1, 4])
def test_every_picture_has_its_decision_in_order_whatever_the_batch(batch):
    runtime = Shades()
    lines = [each.line() for each in decide(runtime, Pictures(203), batch)]
    assert [line["path"] for line in lines] == [f"{number}.png" for number in range(203)]
    for number, line in enumerate(lines):
        if number % 5 == 4:
            assert line == {"path": f"{number}.png", "error": f"{number}.png: broken"}
        else:
            assert (line["label"], list(line)) == (str(number % 251), ["path", "label", "score", "probabilities", "ms"])
    assert max(runtime.runs) <= batch


def test_only_a_few_pictures_are_read_ahead():
    source = Pictures(5000)
    for place, _ in enumerate(decide(Shades(), source, 2)):
        assert source.read - place <= 8
        if place == 300:
            break


def test_leaving_early_stops_the_source():
    source = Pictures(10**9)
    pictures = decide(Shades(), source)
    next(pictures)
    pictures.close()
    threading.Event().wait(0.2)
    read = source.read
    threading.Event().wait(0.2)
    assert source.read == read < 100


def test_originals_are_kept_on_request_only():
    pixels = next(decide(Shades(), Pictures(1), keep_originals=True)).picture
    assert pixels.original.shape == (9, 9, 3) and np.array_equal(pixels.pixels, resize(pixels.original, IMAGE))
    assert next(decide(Shades(), Pictures(1))).picture.original is None


def test_a_picture_without_finite_numbers_is_broken_and_its_neighbours_are_decided():
    class Fragile(Shades):
        def decide(self, batch):
            if any(int(each.mean()) == 7 for each in batch):
                raise ImageError("no finite numbers")
            return super().decide(batch)

    lines = [each.line() for each in decide(Fragile(), Pictures(12), 4)]
    assert [line["path"] for line in lines] == [f"{number}.png" for number in range(12)]
    assert [number for number, line in enumerate(lines) if "error" in line] == [4, 7, 9]
    assert lines[7] == {"path": "7.png", "error": "7.png: no finite numbers"} and lines[6]["label"] == "6"
