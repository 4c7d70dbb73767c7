import json

from src.deploy.gate import Verdict
from src.deploy.limits import Limits
from src.deploy.speed import Speed
from tests.deploy.nets import parity


def test_every_stage_and_the_speed_must_hold():
    good, bad = parity("merged"), parity("fp32", diff=0.5)
    int8 = parity("int8", accuracy=0.99, limits=Limits(None, None, 0.02))
    assert Verdict("fp32", (good, parity())).passed
    assert Verdict("int8", (good, bad, int8)).reasons() == ["fp32: max |d logit| 5.00e-01, 1.00e-04 allowed"]
    slow = Verdict("int8", (good, parity(), int8), speed=Speed(1.0, 1.0, 1.2))
    assert slow.reasons() == ["1.00 times as fast as fp32, 1.2 times wanted"] and slow.parity is int8


def test_other_splits_are_reported_and_decide_nothing():
    verdict = Verdict("fp32", (parity("merged"), parity()), {"test": (parity("merged"), parity(diff=0.5))})
    written = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    assert verdict.remarks() == ["test, fp32: max |d logit| 5.00e-01, 1.00e-04 allowed"]
    assert written["passed"] and not written["also"]["test"]["passed"]
    assert written["stages"][0] == {"stage": "trained", "images": 100, "accuracy": 1.0, "auroc": 1.0}
    assert [row["stage"] for row in written["also"]["test"]["stages"]] == ["trained", "merged", "fp32"]
