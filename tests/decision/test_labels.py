import numpy as np
import pytest
from scipy.stats import binomtest

from src.decision import CannotPromise, DecisionSpec, certify_labels, certify_threshold, tally, verdicts
from src.spec import TaskSpec

NAMES = ("crack", "chip")


def pictures(count=600, seed=0):
    draw = np.random.default_rng(seed)
    present = draw.random((count, 2)) < (0.3, 0.25)
    score = draw.random((count, 2)).astype(np.float32)
    return np.where(present, score**0.3, 1 - score**0.3), present


def test_every_label_has_its_part_of_the_risk():
    values, present = pictures()
    found = certify_labels(values, present, NAMES, 0.05, 0.95)
    for place, label in enumerate(found.labels):
        alone = certify_threshold(values[:, place], present[:, place], 0.05, 0.975)
        assert label == alone and label.escapes == (values[present[:, place], place] < label.threshold).sum()
    assert found.reject_from is None and found.reviewed == 0 and found.unit == "image"
    passes = (values < found.pass_below).all(axis=1)
    assert found.passed == passes.sum() and found.goods == (~present.any(axis=1)).sum()
    assert found.goods_passed == (passes & ~present.any(axis=1)).sum()
    assert (found.defects, found.escapes) == (present.any(axis=1).sum(), (passes & present.any(axis=1)).sum())


def test_good_pictures_are_rejected_by_their_worst_label():
    values, present = pictures()
    found = certify_labels(values, present, NAMES, 0.05, 0.95, 0.1)
    good = ~present.any(axis=1)
    rejected = (values[good] >= found.reject_from).any(axis=1).sum()
    assert found.overkills == rejected and found.reviewed > 0
    bound = binomtest(int(rejected), int(good.sum()), alternative="less").proportion_ci(0.95).high
    assert found.overkill_rate_upper_bound == pytest.approx(bound) and bound <= 0.1
    spec = DecisionSpec(labels=NAMES, pass_below=found.pass_below, reject_from=(found.reject_from,) * 2)
    counted = tally(verdicts(TaskSpec("multilabel", (*NAMES, "dust")), spec, np.c_[values, values[:, 0]]))
    assert counted == {"pass": found.passed, "reject": found.rejected, "review": found.reviewed, "unknown": 0}


def test_thresholds_that_cross_are_lowered():
    draw = np.random.default_rng(1)
    present = draw.random((600, 2)) < 0.3
    values = np.where(present, draw.uniform(0.8, 0.9, (600, 2)), draw.uniform(0, 0.5, (600, 2)))
    found = certify_labels(values, present, NAMES, 0.05, 0.95, 0.1)
    assert found.pass_below == (found.reject_from,) * 2 and [label.escapes for label in found.labels] == [0, 0]
    assert found.labels[0].upper_bound == pytest.approx(1 - 0.025 ** (1 / found.labels[0].defects))


def test_groups_count_once():
    values, present = pictures(1200)
    groups = np.arange(1200) // 4
    found = certify_labels(values, present, NAMES, 0.1, 0.95, 0.2, groups)
    assert found.unit == "group" and found.labels[0].defects == len(set(groups[present[:, 0]]))


def test_refusals_name_the_label():
    values, present = pictures()
    present[20:, 1] = False
    with pytest.raises(
        CannotPromise, match=r"pictures with 'chip' prove at most .* at 97.5 %; 5 % needs 72"
    ) as refused:
        certify_labels(values, present, NAMES, 0.05, 0.95)
    assert refused.value.needed == 72


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ()}, "must be pictures x 1|names must be"),
        ({"names": ("crack", "crack")}, "different labels"),
        ({"names": ("crack",)}, "must be pictures x 1"),
        ({"has_label": np.ones((600, 1))}, "column each"),
        ({"has_label": np.ones((600, 2))}, "every picture has a named label"),
        ({"probabilities": np.full((600, 2), np.nan)}, "600 pictures have probabilities that are NaN"),
        ({"probabilities": np.full((600, 2), 0.5)}, "all 600 probabilities of 'crack' are equal"),
        ({"escape_rate": 0}, "escape_rate=0"),
        ({"overkill_rate": 2}, "overkill_rate=2"),
    ],
)
def test_bad_input(change, message):
    values, present = pictures()
    given = {"probabilities": values, "has_label": present, "names": NAMES, "escape_rate": 0.05, "confidence": 0.95}
    with pytest.raises(ValueError, match=message):
        certify_labels(**given | change)
