"""One training of each method on a few pictures, with random weights."""

import shutil

import pytest

from src.benchmarks.contenders import CONTENDERS
from src.benchmarks.trial import Trial, run_trial, seconds_to

FIELDS = {
    *("balanced_accuracy", "auroc", "val_balanced_accuracy", "val_auroc", "seconds", "peak_mib", "adapter_bytes"),
    *("checkpoint_bytes", "forgetting_max_abs", "curve", "kept_epoch", "targets"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory, plates):
    folder = tmp_path_factory.mktemp("sets")
    shutil.copytree(plates, folder / "plates")
    return folder


@pytest.fixture(scope="module")
def rows(root):
    def run(method):
        rate = CONTENDERS[method].learning_rate
        trial = Trial("test_efficientnet", "none", "plates", 0, method, rate, 2, 8, 64, 40)
        return run_trial(trial, root, root / "cache")

    return {method: run(method) for method in ("full", "head", "graft", "peft")}


def test_every_method_has_every_figure(rows):
    for method, row in rows.items():
        assert set(row) >= FIELDS, method
        assert 0 <= row["balanced_accuracy"] <= 1 and 0 <= row["auroc"] <= 1
        assert [len(row["curve"]), row["kept_epoch"] in (0, 1)] == [2, True]
        first, second = (point["seconds"] for point in row["curve"])
        assert 0 < first < second <= row["seconds"]


def test_the_kept_epochs_score_is_the_one_of_its_point_in_the_curve(rows):
    for row in rows.values():
        point = row["curve"][row["kept_epoch"]]["val_balanced_accuracy"]
        assert row["val_balanced_accuracy"] == pytest.approx(point, abs=1e-6)


def test_only_full_fine_tuning_forgets(rows):
    forgotten = {method: row["forgetting_max_abs"] for method, row in rows.items()}
    assert forgotten.pop("full") > 0 and set(forgotten.values()) == {0.0}


def test_what_is_kept_is_what_is_trained(rows):
    for method, row in rows.items():
        buffers = 1.2 if method == "full" else 1  # whose weights are kept with their running statistics
        values = 4 * row["trainable_parameters"]
        assert values < row["adapter_bytes"] < buffers * values + 40_000
        assert row["checkpoint_bytes"] > 3 * values  # AdamW's two moments beside the weights
    assert rows["graft"]["trainable_parameters"] < rows["full"]["trainable_parameters"]
    assert rows["graft"]["targets"] == "dense" and rows["head"]["targets"] is None


@pytest.mark.parametrize(("score", "seconds"), [(0.5, 1.0), (0.6, 2.0), (0.7, 2.0), (0.8, 4.0), (0.81, None)])
def test_the_first_moment_at_a_score_counts_though_it_is_lost_again(score, seconds):
    curve = [(1.0, 0.5), (2.0, 0.7), (3.0, 0.6), (4.0, 0.8)]
    assert seconds_to([{"seconds": s, "val_balanced_accuracy": v} for s, v in curve], score) == seconds
