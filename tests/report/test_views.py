"""The line that says what other views cost."""

from dataclasses import replace

import pytest

from src.kinds import KINDS
from src.kinds.ordinal import Ordinal
from src.report.results import measure
from src.report.views import describe_views

from .fakes import grades, labels, predictions, values


def test_the_line_holds_the_passes_and_the_figures_of_the_report():
    own, chosen = (predictions(images=50, seed=seed, splits=("val",)) for seed in (0, 1))
    figures = [measure(rows, "bad")["val"] for rows in (own, chosen)]
    differ = sum(a != b for a, b in zip(own.predicted, chosen.predicted, strict=True))
    balanced, auroc = ([each[name] for each in figures] for name in ("balanced_accuracy", "auroc"))
    assert describe_views(own, chosen, "bad", (8, 1)) == (
        "views: 8 -> 1 forward passes a picture; in torch (validation, 50 images) "
        f"Balanced accuracy {100 * balanced[0]:.1f} % -> {100 * balanced[1]:.1f} %, "
        f"AUROC {auroc[0]:.3f} -> {auroc[1]:.3f}, {differ} changed decisions"
    )


@pytest.mark.parametrize(
    ("draw", "names"),
    [
        (grades, ("Quadratic kappa", "Mean absolute error")),
        (labels, ("Average precision", "AUROC")),
        (values, ("R\N{SUPERSCRIPT TWO}", "Mean absolute error")),
    ],
)
def test_every_kind_is_told_by_its_own_figures(draw, names):
    text = describe_views(draw(seed=0), draw(seed=1), None, (2, 4))
    assert text.startswith("views: 2 -> 4 forward passes a picture; in torch (test, 120 images)")
    assert all(f"{name} " in text for name in names) and ("changed" in text) == (draw is not values)


def test_kinds_with_the_same_figures_are_told_each_by_its_own(monkeypatch):
    class Twin(Ordinal):
        name = "twin"
        headline = ("accuracy", "f1")

    monkeypatch.setitem(KINDS, "twin", Twin())
    own, chosen = (replace(grades(seed=seed), kind="twin") for seed in (0, 1))
    text = describe_views(own, chosen, None, (2, 4))
    assert "Accuracy " in text and "F1 " in text and "kappa" not in text
