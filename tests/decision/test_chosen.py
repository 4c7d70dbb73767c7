import numpy as np
import pytest
from sklearn.metrics import f1_score

from src.decision import choose_by_cost, choose_by_f1
from tests.decision.test_threshold import line


def cost(scores, is_defect, low, high, costs):
    column = np.where(scores < low, 0, np.where(scores >= high, 1, 2))
    return np.array(costs)[is_defect.astype(int), column].sum()


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("costs", [[[0, 1], [1, 0]], [[0, 2], [50, 1]], [[0, 40], [1, 0]], [[-3, 1], [9, 2]]])
def test_the_cheapest_threshold(costs, digits):
    scores, is_defect = line(60, 90, digits=digits)
    low, high = choose_by_cost(scores, is_defect, costs)
    tried = [cost(scores, is_defect, t, t, costs) for t in (*np.unique(scores), 2.0)]
    assert low == high == np.float32(low) and cost(scores, is_defect, low, low, costs) == min(tried)


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize(
    "costs", [[[0, 5, 1], [50, 0, 1]], [[0, 5, 5], [50, 0, 50]], [[0, 1, 9], [1, 0, 9]], [[0, 9, 0.5], [9, 0, 0.5]]]
)
def test_the_cheapest_band(costs, digits):
    scores, is_defect = line(40, 50, digits=digits)
    low, high = choose_by_cost(scores, is_defect, costs)
    places = (*np.unique(scores), 2.0)
    tried = [cost(scores, is_defect, a, b, costs) for a in places for b in places if a <= b]
    assert low <= high and cost(scores, is_defect, low, high, costs) == min(tried)


def test_of_equal_costs_the_cautious_threshold():
    scores = np.array([0.1, 0.2, 0.8, 0.9])
    is_defect = np.array([False, True, False, True])
    assert choose_by_cost(scores, is_defect, [[0, 1], [1, 0]])[0] < 0.2


@pytest.mark.parametrize("digits", [None, 1])
def test_f1_is_that_of_scikit_learn(digits):
    scores, is_defect = line(60, 90, digits=digits)
    low, high = choose_by_f1(scores, is_defect)
    assert low == high
    assert f1_score(is_defect, scores >= low) == max(f1_score(is_defect, scores >= t) for t in scores)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ([[0, 1, 2, 3], [1, 0, 2, 3]], "2 x 2 or 2 x 3, not 2 x 4"),
        ([[0, 1], [1, 0], [0, 0]], "not 3 x 2"),
        ([0, 1], "costs must be"),
        ([[0, 1], [1]], "costs must be numbers"),
        ([[0, "dear"], [1, 0]], "costs must be numbers"),
        ([[0, np.nan], [1, 0]], "NaN or infinite"),
        ([[1, 0], [0, 1]], "pay for mistakes"),
        ([[0, 0], [1, 0]], "pay for mistakes"),
    ],
)
def test_costs_that_mean_nothing(costs, message):
    with pytest.raises(ValueError, match=message):
        choose_by_cost(*line(5, 5), costs)


@pytest.mark.parametrize("choose", [choose_by_f1, lambda *given: choose_by_cost(*given, [[0, 1], [1, 0]])])
def test_one_kind_of_parts_chooses_nothing(choose):
    for kind, word in ((0, "good"), (1, "a defect")):
        with pytest.raises(ValueError, match=f"every picture is {word}"):
            choose([0.1, 0.2], [kind, kind])
    with pytest.raises(ValueError, match="equal"):
        choose([0.1, 0.1], [0, 1])
