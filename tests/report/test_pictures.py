import base64
import io

import numpy as np
from PIL import Image

from src.report.pictures import SIDE, thumbnail, worst_mistakes
from src.report.predictions import Predictions

from .fakes import grades, labels, predictions, values, write_images


def test_a_thumbnail_is_a_small_jpeg_of_the_picture(tmp_path):
    Image.fromarray(np.full((300, 600, 3), (200, 40, 40), dtype=np.uint8)).save(tmp_path / "a.png")
    address = thumbnail(tmp_path / "a.png", 16)
    picture = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))))
    assert picture.format == "JPEG" and picture.size == (SIDE, SIDE // 2)
    assert np.abs(np.asarray(picture).astype(int) - (200, 40, 40)).max() < 6


def test_a_broken_file_has_none(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert thumbnail(tmp_path / "a.png", 16) is None


def test_the_most_confident_mistakes_come_first(tmp_path):
    part = predictions(images=60, paths=write_images(tmp_path / "images", 60))
    wrong = [row for row in range(60) if part.targets[row] != part.predicted[row]]
    scores = sorted((part.probabilities[row].max() for row in wrong), reverse=True)
    found = worst_mistakes(part, most=5)
    assert [mistake.score for mistake in found] == scores[:5]
    assert all(mistake.target != mistake.predicted for mistake in found)
    assert len(worst_mistakes(part, most=1000)) == len(wrong)


def test_thumbnails_are_small_pictures_of_the_image(tmp_path):
    path = write_images(tmp_path / "images", 201)[200]
    part = Predictions((path,), ("test",), ("a",), ("b",), np.array([[0.1, 0.9]]), ("a", "b"), "classification")
    head, _, body = worst_mistakes(part)[0].thumbnail.partition(",")
    picture = Image.open(io.BytesIO(base64.b64decode(body)))
    assert head == "data:image/jpeg;base64" and picture.format == "JPEG"
    assert picture.size == (160, 120)
    assert abs(int(np.asarray(picture).mean()) - 200) <= 1


def test_thumbnails_of_deep_grey_have_the_white_of_the_training(tmp_path):
    Image.fromarray(np.full((9, 9), 4095, np.uint16)).save(tmp_path / "a.png")
    part = Predictions(
        (str(tmp_path / "a.png"),), ("test",), ("a",), ("b",), np.array([[0.1, 0.9]]), ("a", "b"), "classification"
    )
    means = []
    for depth in (12, 16):
        _, _, body = worst_mistakes(part, bit_depth=depth)[0].thumbnail.partition(",")
        means.append(int(np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))).mean()))
    assert means[0] >= 254 and means[1] <= 17


def test_equal_scores_are_ordered_by_path_and_lost_images_have_no_thumbnail(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    paths = (str(tmp_path / "gone.png"), str(tmp_path / "broken.png"))
    part = Predictions(
        paths, ("test",) * 2, ("a",) * 2, ("b",) * 2, np.array([[0.1, 0.9]] * 2), ("a", "b"), "classification"
    )
    assert [(mistake.path, mistake.thumbnail) for mistake in worst_mistakes(part)] == [
        (paths[1], None),
        (paths[0], None),
    ]


def test_the_farthest_grades_and_the_largest_errors_come_first():
    rows = grades(images=200)
    order = {name: place for place, name in enumerate(rows.classes)}
    apart = [abs(order[mistake.target] - order[mistake.predicted]) for mistake in worst_mistakes(rows, most=200)]
    assert apart == sorted(apart, reverse=True) and {1, 2} == set(apart)
    rows = values(images=50)
    errors = [mistake.score for mistake in worst_mistakes(rows, most=3)]
    assert errors == sorted(np.abs(rows.target_values - rows.predicted_values), reverse=True)[:3]


def test_an_image_with_one_wrong_label_is_a_mistake():
    rows = labels(images=100)
    found = worst_mistakes(rows, most=100)
    wrong = (rows.target_matrix != rows.predicted_matrix).any(axis=1)
    assert {mistake.path for mistake in found} == {rows.paths[row] for row in np.flatnonzero(wrong)}
    assert all(0.5 <= mistake.score <= 1 for mistake in found)
