"""One training of each method on a few pictures, with random weights."""

import shutil

import pytest
from sklearn import metrics as reference

from src.benchmarks.contenders import CONTENDERS
from src.benchmarks.trial import Trial, _data, _scores, _task, run_trial, seconds_to
from src.tasks import predict_logits

FIELDS = {
    *("balanced_accuracy", "auroc", "val_balanced_accuracy", "val_auroc", "seconds", "peak_mib", "adapter_bytes"),
    *("checkpoint_bytes", "forgetting_max_abs", "curve", "kept_epoch", "targets"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory, plates):
    folder = tmp_path_factory.mktemp("sets")
    shutil.copytree(plates, folder / "plates")
    return folder


def trial(method):
    return Trial("test_efficientnet", "none", "plates", 0, method, CONTENDERS[method].learning_rate, 2, 8, 64, 40)


@pytest.fixture(scope="module")
def rows(root):
    return {method: run_trial(trial(method), root, root / "cache") for method in ("full", "head", "graft", "peft")}


def test_every_method_has_every_figure(rows):
    for method, row in rows.items():
        assert set(row) >= FIELDS, method
        first, second = (point["seconds"] for point in row["curve"])
        assert first < second <= row["seconds"]


def test_the_scores_are_scikit_learns_on_the_split_that_they_are_of(root):
    data = _data(trial("head"), root, root / "cache")
    task = _task(trial("head"), data)
    found, spec = _scores(task, data), task.setting.task
    for split, values in predict_logits(task.model, data, ("test", "val"), data.image, spec).items():
        logits, prefix = values.numpy(), "" if split == "test" else "val_"
        truths = [spec.classes.index(sample.label) for sample in data.samples(split)]
        accuracy = reference.balanced_accuracy_score(truths, logits.argmax(1))
        assert found[f"{prefix}balanced_accuracy"] == pytest.approx(accuracy, abs=1e-6)
        area = reference.roc_auc_score(truths, logits[:, 1] - logits[:, 0])
        assert found[f"{prefix}auroc"] == pytest.approx(area, abs=1e-6)
    assert found["auroc"] != found["val_auroc"]


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
