import pytest

from src.benchmarks.verdicts import ALL, FIGURES, judge, means


def trial(dataset, seed, method, accuracy=0.9, **figures):
    own = {"model": "m", "dataset": dataset, "seed": seed, "method": method, "balanced_accuracy": accuracy}
    costs = {
        "auroc": 0.9,
        "val_balanced_accuracy": 0.9,
        "seconds": 100.0,
        "seconds_to_full_score": 40.0,
        "peak_mib": 60.0,
        "adapter_bytes": 3_000,
        "checkpoint_bytes": 9_000,
        "forgetting_max_abs": 0.0,
    }
    return {**own, **costs, **figures}


SIZES = {"peak_mib": 100.0, "adapter_bytes": 100_000, "checkpoint_bytes": 300_000}


def full(dataset, seed, accuracy=0.9, **figures):
    return trial(dataset, seed, "full", accuracy, **{**SIZES, "forgetting_max_abs": 2.0, **figures})


def verdicts(*rows):
    return {(verdict.dataset, verdict.claim.name): verdict for verdict in judge(rows)}


def test_at_its_limits_every_claim_passes():
    rows = [full("a", 0), trial("a", 0, "head", 0.867), trial("a", 0, "graft", 0.897, seconds_to_full_score=50.0)]
    found = verdicts(*rows)
    assert {key[1] for key in found} == {
        *("accuracy", "above_head", "time", "memory", "adapter", "checkpoint", "forgetting"),
    }
    assert all(verdict.passed for verdict in found.values())
    assert [found["a", name].value for name in ("time", "memory", "adapter", "checkpoint")] == [0.5, 0.6, 0.03, 0.03]
    assert found["a", "accuracy"].value == pytest.approx(-0.003)
    assert found["a", "memory"].line() == "m, a: pass: peak memory at most 0.6 of full fine-tuning's (0.60 of it)"


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("accuracy", {"accuracy": 0.8969}),
        ("above_head", {"accuracy": 0.8969}),
        ("time", {"seconds_to_full_score": 51.0}),
        ("memory", {"peak_mib": 61.0}),
        ("adapter", {"adapter_bytes": 3_001}),
        ("checkpoint", {"checkpoint_bytes": 9_001}),
        ("forgetting", {"forgetting_max_abs": 1e-9}),
    ],
)
def test_beyond_its_limit_each_claim_is_missed(name, changed):
    found = verdicts(
        full("a", 0), trial("a", 0, "head", 0.867), trial("a", 0, "graft", **{"accuracy": 0.93, **changed})
    )
    assert found["a", name].passed is False and ": missed: " in found["a", name].line()
    assert (ALL, name) not in found and found["a", name].to_dict()["passed"] is False


def test_a_score_that_one_seed_never_reaches_is_missed():
    rows = [full("a", 0), full("a", 1), trial("a", 0, "graft"), trial("a", 1, "graft", seconds_to_full_score=None)]
    verdict = verdicts(*rows)["a", "time"]
    assert verdict.passed is False and verdict.figure == "never" and verdict.to_dict()["value"] is None


def test_there_is_no_room_above_a_head_that_is_almost_always_right():
    rows = [full("a", 0), trial("a", 0, "head", 0.98), trial("a", 0, "graft", 0.98)]
    verdict = verdicts(*rows)["a", "above_head"]
    assert verdict.passed is None and verdict.figure == "no room" and ": open: " in verdict.line()
    others = verdicts(*rows, full("b", 0), trial("b", 0, "head", 0.8), trial("b", 0, "graft", 0.85))
    assert others[ALL, "above_head"].value == pytest.approx(0.05)  # b alone


def test_the_mean_over_seeds_is_judged_and_all_sets_count_the_same():
    rows = [full("a", 0, 0.90), full("a", 1, 0.80), trial("a", 0, "graft", 0.80), trial("a", 1, "graft", 0.92)]
    rows += [full("b", 0, 0.9), trial("b", 0, "graft", 0.86, forgetting_max_abs=0.5)]
    found = verdicts(*rows)
    assert found["a", "accuracy"].value == pytest.approx(0.01) and found["a", "accuracy"].passed
    assert found[ALL, "accuracy"].value == pytest.approx((0.01 - 0.04) / 2)
    assert found[ALL, "forgetting"].value == 0.5  # the worst counts, not the mean


def test_only_trials_of_the_same_seed_are_compared_and_a_failed_one_with_nothing():
    rows = [full("a", 0), trial("a", 0, "graft"), trial("a", 1, "graft", 0.1)]
    rows.append({"model": "m", "dataset": "a", "seed": 1, "method": "full", "error": "killed"})
    assert verdicts(*rows)["a", "accuracy"].value == 0
    alone = verdicts(trial("a", 0, "graft"))
    assert alone["a", "accuracy"].passed is None and alone["a", "accuracy"].figure == "not measured"
    assert alone["a", "forgetting"].passed is True
    assert verdicts(full("a", 0, peak_mib=None), trial("a", 0, "graft"))["a", "memory"].passed is None


def test_means_are_over_seeds_then_over_sets_where_a_method_was_measured_in_all():
    rows = [
        full("a", 0, 0.8),
        full("a", 1, 0.9, seconds_to_full_score=None),
        full("b", 0, 0.65),
        trial("a", 0, "graft"),
    ]
    found = {(row["dataset"], row["method"]): row for row in means(rows)}
    assert list(found) == [("a", "full"), ("a", "graft"), ("b", "full"), (ALL, "full")]
    assert found["a", "full"]["balanced_accuracy"] == pytest.approx(0.85) and found["a", "full"]["seeds"] == 2
    assert found["a", "full"]["seconds_to_full_score"] is None
    assert found[ALL, "full"]["balanced_accuracy"] == pytest.approx(0.75) and found[ALL, "full"]["sets"] == 2
    assert set(FIGURES) <= set(found[ALL, "full"])
