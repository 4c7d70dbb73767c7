from src.report.scatter import MOST_VECTORS, errors, scatter

from .fakes import values


def test_every_image_is_a_point_and_the_same_rows_give_the_same_bytes():
    drawn = scatter(values(images=37))
    assert drawn.count("<use") >= 37 and scatter(values(images=37)) == drawn
    assert "Decided over true values" in drawn


def test_the_bars_of_the_errors_add_up_to_the_images(monkeypatch):
    from matplotlib.axes import Axes

    drawn = []
    hist = Axes.hist
    monkeypatch.setattr(Axes, "hist", lambda *args, **options: drawn.append(hist(*args, **options)) or drawn[-1])
    assert "<svg" in errors(values(images=37)) and drawn[0][0].sum() == 37


def test_very_many_points_become_an_image():
    assert "<image" in scatter(values(images=MOST_VECTORS + 1))
