from src.report.scatter import MOST_VECTORS, scatter

from .fakes import values


def test_every_image_is_a_point_and_the_same_rows_give_the_same_bytes():
    drawn = scatter(values(images=37))
    assert drawn.count("<use") >= 37 and scatter(values(images=37)) == drawn
    assert "Decided over true values" in drawn


def test_very_many_points_become_an_image():
    assert "<image" in scatter(values(images=MOST_VECTORS + 1))
