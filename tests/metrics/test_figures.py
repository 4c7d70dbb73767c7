from dataclasses import replace

import numpy as np
import pytest

from src.metrics import LABELS, METRICS, compute, headline, intervals
from src.metrics.weighted import Weighted
from src.report.predictions import Predictions
from tests.report.fakes import grades, labels, predictions, values

KINDS = {"classification": predictions, "ordinal": grades, "multilabel": labels, "regression": values}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_figures_with_intervals_that_hold_them(kind):
    rows = KINDS[kind](images=150)
    figures, spread = compute(rows, None), intervals(rows, None)
    for name, value in figures.items():
        low, high = spread[name]
        assert low <= value <= high, name
        assert name == "loss" or name in LABELS


@pytest.mark.parametrize("kind", KINDS)
def test_an_interval_is_narrower_with_more_images(kind):
    few, many = (intervals(KINDS[kind](images=images), None) for images in (40, 1500))
    for name, (low, high) in many.items():
        assert high - low < few[name][1] - few[name][0], name


def test_the_headline_is_what_the_kind_is_steered_by():
    found = {kind: headline(compute(make(), None)) for kind, make in KINDS.items()}
    assert found == {
        "classification": ("balanced_accuracy", "auroc"),
        "ordinal": ("quadratic_kappa", "mean_absolute_error"),
        "multilabel": ("average_precision", "auroc"),
        "regression": ("r2", "mean_absolute_error"),
    }
    assert headline({}) == ("balanced_accuracy", "auroc")


@pytest.mark.parametrize("kind", KINDS)
def test_a_resample_has_the_figures_of_the_repeated_rows(kind):
    rows = KINDS[kind](images=30, seed=2)
    generator = np.random.default_rng(1)
    for images in (1, 2, 30, 30, 30):
        drawn = generator.integers(0, images, 30)  # of few images: figures that are undefined
        weighted = Weighted(rows, np.bincount(drawn, minlength=30).astype(float)[None])
        expected = compute(rows.take(drawn), None)
        resampled = {name: METRICS[name].compute(weighted) for name in expected}
        for name, value in expected.items():
            expect = np.nan if value is None else value
            assert resampled[name][0] == pytest.approx(expect, abs=2e-5, nan_ok=True), (name, images)


def test_figures_that_differ_by_rounding_alone_have_no_interval():
    names, classes = tuple(f"{row}.png" for row in range(23)), tuple(f"l{place}" for place in range(10))
    told = tuple(classes[row % 10] for row in range(23))  # one of ten labels each, and none is decided
    nothing = Predictions(names, ("test",) * 23, told, ("",) * 23, np.full((23, 10), 0.3), classes, "multilabel")
    assert compute(nothing, None)["accuracy"] == pytest.approx(0.9)
    assert "accuracy" not in intervals(nothing, None)
    assert intervals(nothing, None)["exact_match"] == pytest.approx((0, 1 - 0.025 ** (1 / 23)))
    exact = values(images=23)
    shifted = replace(exact, predicted=tuple(repr(float(text) + 0.1) for text in exact.targets))
    assert "mean_absolute_error" not in intervals(shifted, None)
