from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from src.metrics import compute
from src.report.curves import precision_curve, precision_recall, roc, roc_curve

from .fakes import predictions
from .test_plots import HOSTILE, texts


@pytest.mark.parametrize("levels", [None, 8])
def test_the_curves_are_those_of_scikit_learn(levels):
    part = predictions(images=300, seed=1, levels=levels)
    targets, scores = part.target_indices, part.probabilities[:, 1]
    alarms, found, _ = reference.roc_curve(targets, scores, drop_intermediate=False)
    precision, recall, _ = reference.precision_recall_curve(targets, scores)
    curve = roc_curve(part, "bad")
    assert np.allclose([curve.x, curve.y], [alarms, found], atol=1e-6)
    assert curve.area == pytest.approx(reference.roc_auc_score(targets, scores), abs=1e-6)
    curve = precision_curve(part, "bad")
    assert np.allclose([curve.x, curve.y], [recall[::-1], precision[::-1]], atol=1e-6)
    assert curve.area == pytest.approx(reference.average_precision_score(targets, scores), abs=1e-6)


def test_the_legend_says_the_figures_of_the_split():
    part = predictions(images=150)
    figures = compute(part, "bad")
    assert {f"bad: {figures['auroc']:.3f}", "chance", "decisions"} <= texts(roc(part, "bad"))
    assert f"bad: {figures['average_precision']:.3f}" in texts(precision_recall(part, "bad"))


def test_many_classes_show_the_ten_worst_and_the_mean_of_all():
    names = tuple(f"class {number}" for number in range(14))
    part = predictions((*names, "never seen"), 400)
    part = part.take(np.flatnonzero(part.target_indices < 14))
    figures = compute(part, None)
    curves = [roc_curve(part, name) for name in names]
    worst = sorted(curves, key=lambda curve: curve.area)[:10]
    drawn = texts(roc(part, None))
    assert {text for text in drawn if text.startswith("class")} == {f"{one.name}: {one.area:.3f}" for one in worst}
    assert f"mean of 14: {figures['auroc']:.3f}" in drawn
    assert f"mean of 14: {figures['average_precision']:.3f}" in texts(precision_recall(part, None))


def test_hostile_class_names_stay_text():
    part = predictions(HOSTILE, 80)
    for svg in (roc(part, None), precision_recall(part, HOSTILE[0])):
        assert "<script" not in svg
        assert any(text.startswith("<script>") for text in texts(svg))


def test_the_decisions_sit_on_the_curve_of_the_scores():
    part = predictions(images=200, seed=3)
    curve = roc_curve(part, "bad")
    bad = part.target_indices == 1
    alarms, found = np.mean(part.predicted_indices[~bad]), np.mean(part.predicted_indices[bad])
    assert np.min(np.hypot(curve.x - alarms, curve.y - found)) < 1e-6


def test_a_model_that_never_decides_positive_has_no_precision_to_mark():
    part = predictions(images=60)
    never = replace(part, predicted=("good",) * 60)
    assert "decisions" not in texts(precision_recall(never, "bad"))
    assert "decisions" in texts(roc(never, "bad"))
