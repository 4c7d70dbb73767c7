import math

import pytest

from src.deploy.limits import Budget, Limits
from src.deploy.precisions import find_precision


@pytest.mark.parametrize(
    ("precision", "diff", "changed", "drop", "broken"),
    [
        ("fp32", 0.9e-4, 0, 0.0, []),
        ("fp32", 1.1e-4, 0, 0.0, ["max |d logit| 1.10e-04, 1.00e-04 allowed"]),
        ("fp32", 0.0, 1, 0.0, ["1 changed decisions, 0 allowed"]),
        ("fp16", 0.019, 5, 0.005, []),
        ("fp16", 0.021, 6, 0.006, ["max |d logit|", "6 changed decisions, 5 allowed", "accuracy fell by 0.0060"]),
        ("int8", 5.0, 500, 0.03, []),
        ("int8", 5.0, 500, 0.0301, ["accuracy fell by 0.0301, 0.0300 allowed"]),
        ("int8", math.nan, 0, 0.0, ["max |d logit| nan"]),
        ("int8", math.inf, 0, 0.0, ["max |d logit| inf"]),
        ("int8", 0.0, 0, math.nan, ["accuracy fell by nan"]),
    ],
)
def test_each_precision_has_its_limits(precision, diff, changed, drop, broken):
    found = (
        find_precision(precision).limits("u8", Budget(max_accuracy_drop=0.03)).broken(diff, 1.0, changed, 1000, drop)
    )
    assert len(found) == len(broken)
    assert all(text.startswith(start) for text, start in zip(found, broken, strict=True))


def test_the_largest_difference_grows_with_the_logits():
    assert not Limits(0.01).broken(0.9, 100.0, 0, 1, 0.0) and Limits(0.01).broken(0.9, 80.0, 0, 1, 0.0)


def test_half_a_point_and_a_fifth_are_the_budget():
    assert Budget() == Budget(max_accuracy_drop=0.005, min_speedup=1.2, max_accuracy_drop_bound=0.03)


@pytest.mark.parametrize(
    "values",
    [{"max_accuracy_drop": -0.1}, {"max_accuracy_drop": 5}, {"min_speedup": math.nan}, {"max_accuracy_drop_bound": 0}],
)
def test_a_budget_that_means_nothing_is_refused(values):
    with pytest.raises(ValueError, match=f"{next(iter(values))} must be .* such as"):
        Budget(**values)


def test_a_rare_defect_that_is_never_found_breaks_int8_though_accuracy_stays():
    int8 = find_precision("int8").limits("u8", Budget())
    assert int8.broken(1.0, 1.0, 80, 1000, 0.0, 0.8) == ["recall fell by 0.8000, 0.0050 allowed"]
    assert not int8.broken(1.0, 1.0, 80, 1000, 0.0, -0.1)


@pytest.mark.parametrize("values", [{"max_accuracy_drop": "half"}, {"min_speedup": None}, {"min_speedup": True}])
def test_a_budget_is_made_of_numbers(values):
    with pytest.raises(ValueError, match="must be a number"):
        Budget(**values)
