"""MAPIE's Learn-then-Test controller, which tests by a looser bound, beside our exact one."""

import numpy as np
import pytest

from src.decision import certify_threshold

mapie = pytest.importorskip("mapie.risk_control", reason="MAPIE is compared with where it is installed")


@pytest.mark.parametrize(("defects", "rate"), [(153, 0.05), (60, 0.1)])
def test_our_threshold_is_no_more_cautious(defects, rate):
    draw = np.random.default_rng(0)
    ours, theirs, gaps = [], [], []
    for _ in range(30):
        scores = np.concatenate([draw.beta(4, 2, defects), draw.beta(2, 4, 100)])
        is_defect = np.arange(len(scores)) < defects
        places = np.unique(scores)
        controller = mapie.BinaryClassificationController(
            lambda score: np.c_[1 - score, score],
            risk="recall",
            target_level=1 - rate,
            confidence_level=0.95,
            list_predict_params=places,
            fwer_method="fixed_sequence",
        ).calibrate(scores, is_defect.astype(int))
        ours.append(certify_threshold(scores, is_defect, rate, 0.95).threshold)
        theirs.append(max(controller.valid_predict_params, default=places[0]))
        gaps.append(np.diff(places).mean())
    assert np.mean(ours) >= np.mean(theirs) - np.mean(gaps)
