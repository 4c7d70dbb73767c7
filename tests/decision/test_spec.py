import json

import numpy as np
import pytest

from src.decision import DecisionSpec

FULL = DecisionSpec(
    temperatures=(1.5,),
    pass_classes=("good",),
    pass_below=(0.25,),
    reject_from=(0.5,),
    strange_above=12.5,
    escape_rate=0.05,
    overkill_rate=0.1,
    confidence=0.95,
    unit="group",
)


@pytest.mark.parametrize(
    "spec",
    [
        DecisionSpec(),
        FULL,
        DecisionSpec(origin="chosen", labels=("a", "b"), pass_below=(0.25, 0.5), reject_from=(0.5, 0.5)),
        DecisionSpec(decide_from=0.75),
        DecisionSpec(margin=0.5, limits=(None, 2.0)),
    ],
)
def test_it_comes_back_from_json_as_it_was(spec):
    assert DecisionSpec.from_dict(json.loads(json.dumps(spec.to_dict(), allow_nan=False))) == spec
    assert spec.decides == (spec != DecisionSpec())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"origin": "guessed"}, "origin is one of certified"),
        ({"unit": "lot"}, "unit one of image"),
        ({"pass_below": (0.1,)}, "0.1 is no finite float32"),
        ({"reject_from": (np.inf,)}, "inf is no finite float32"),
        ({"strange_above": 1e300}, "is no finite float32"),
        ({"strange_above": "high"}, "high is no finite float32"),
        ({"pass_below": (0.75,)}, "none of the first above its partner"),
        ({"pass_below": ()}, "must be as many"),
        ({"pass_below": (0.25, 0.25), "reject_from": (0.5, 0.5)}, "2 thresholds for 1"),
        ({"pass_classes": ()}, "go with pass_classes, or with labels"),
        ({"labels": ("crack",)}, "go with pass_classes, or with labels"),
        ({"decide_from": 0.5}, "not several of them"),
        ({"margin": 0.5, "limits": (0.0, 1.0)}, "not several of them"),
        ({"limits": (0.0, 1.0)}, "a margin goes with limits"),
        ({"temperatures": (0.0,)}, "temperatures must be float32 above 0"),
        ({"temperatures": (np.nan,)}, "temperatures must be float32 above 0"),
        ({"temperatures": ("hot",)}, "temperatures must be float32"),
        ({"temperatures": (1.1,)}, "temperatures must be float32"),
        ({"temperatures": 5}, "must be lists"),
        ({"pass_classes": "good"}, "must be lists"),
        ({"pass_below": (), "reject_from": (), "margin": True, "limits": (0, 1)}, "True is no finite float32"),
        ({"pass_below": (), "reject_from": (), "margin": 0.5, "limits": ("a", "b")}, "limits must be finite numbers"),
        ({"confidence": "high"}, "above 0 and below 1, not high"),
        ({"confidence": 95}, "above 0 and below 1, not 95"),
    ],
)
def test_what_no_camera_could_follow_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        DecisionSpec(**vars(FULL) | change)
