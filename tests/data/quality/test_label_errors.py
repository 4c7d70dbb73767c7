import numpy as np
import pytest

from src.data.quality import label_errors
from src.data.quality.label_errors import LEAST, check_labels


def blobs(count=120, wrong=(), seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % 3
    features = rng.normal(0, 1, (count, 20)).astype(np.float32)
    for kind in range(3):  # each class has six features of its own
        features[:, 6 * kind : 6 * kind + 6] += 4 * (truth == kind)[:, None]
    labels = ["abc"[(kind + 1) % 3] if place in wrong else "abc"[kind] for place, kind in enumerate(truth.tolist())]
    return features, labels, truth


def test_swapped_labels_are_found_with_the_right_one_and_no_others():  # the method estimates how many there are
    wrong = {3, 40, 77, 101}
    features, labels, truth = blobs(wrong=wrong)
    found = check_labels(features, labels, list(range(1000, 1120)), list(range(120))).suspects
    places = {suspect.position - 1000 for suspect in found}
    assert places <= wrong and len(places) >= 3
    assert all(suspect.suggested == "abc"[truth[suspect.position - 1000]] for suspect in found)
    assert all(0.5 < suspect.probability <= 1 for suspect in found)


def test_a_clean_set_has_none():
    features, labels, _ = blobs()
    checked = check_labels(features, labels, list(range(120)), list(range(120)))
    assert (checked.suspects, checked.examined, checked.reason) == ((), 120, "")


def test_copies_do_not_vouch_for_one_another():
    features, labels, _ = blobs(wrong={3})
    features[4], labels[4] = features[3], labels[3]  # the copy has the same wrong label
    units = [3 if place == 4 else place for place in range(120)]
    found = check_labels(features, labels, list(range(120)), units).suspects
    assert {suspect.position for suspect in found} == {3, 4}


def test_classes_that_are_too_small_are_not_judged_and_that_is_told():
    features, labels, _ = blobs(count=3 * (LEAST - 1))
    checked = check_labels(features, labels, list(range(len(labels))), list(range(len(labels))))
    assert (checked.suspects, checked.examined) == ((), 0)
    assert checked.describe() == f"none examined (fewer than {LEAST} images or groups of a, b, c)"


def test_a_small_class_does_not_keep_the_others_from_being_judged():
    features, labels, _ = blobs(wrong={3, 40, 77, 101})
    features = np.concatenate([features, features[:4] + 9])
    checked = check_labels(features, [*labels, *"dddd"], list(range(124)), list(range(124)))
    found = checked.suspects
    assert len(found) >= 3 and {suspect.position for suspect in found} <= {3, 40, 77, 101}
    assert checked.examined == 120 and checked.describe().endswith(f"(fewer than {LEAST} images or groups of d)")


def test_a_group_that_is_most_of_the_set_leaves_few_to_fit_on():
    features, labels, _ = blobs(count=300)
    features = np.tile(features, 20)  # more than the images outside the group
    units = [0 if place < 240 else place for place in range(300)]
    checked = check_labels(features, labels, list(range(300)), units)
    assert (checked.examined, checked.reason) == (300, "")


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")  # of no variance by no variance, in PCA
@pytest.mark.parametrize("value", [0.0, 7.0])
def test_features_that_are_all_equal_throw_doubt_on_no_label(value):
    _, labels, _ = blobs()
    checked = check_labels(np.full((120, 20), value, np.float32), labels, list(range(120)), list(range(120)))
    assert (checked.suspects, checked.examined, checked.reason) == ((), 120, "")


def test_what_cannot_be_fitted_is_told():
    features, labels, _ = blobs()
    features[5] = np.nan
    checked = check_labels(features, labels, list(range(120)), list(range(120)))
    assert checked.examined == 0 and checked.reason.startswith("no model could be fitted: Input X contains NaN")


def test_a_class_of_one_unit_is_left_out_and_the_other_alone_is_not_judged():
    features, _, _ = blobs()
    labels = ["a" if place < 60 else "b" for place in range(120)]
    units = [0 if place < 60 else place for place in range(120)]
    assert check_labels(features, labels, list(range(120)), units).examined == 0
    alone = check_labels(features, ["a"] * 120, list(range(120)), list(range(120)))
    assert alone.reason == "one class alone has images that can be read"


def test_a_class_that_some_fold_has_none_to_learn_from_is_told(monkeypatch):
    class Parted:
        def __init__(self, *_, **__): ...

        def split(self, features, targets, units):
            yield from ((np.flatnonzero(targets != kind), np.flatnonzero(targets == kind)) for kind in range(3))

    monkeypatch.setattr(label_errors, "StratifiedGroupKFold", Parted)
    features, labels, _ = blobs()
    checked = check_labels(features, labels, list(range(120)), list(range(120)))
    assert checked.describe() == "none examined (no model could be fitted: one group holds nearly all of a class)"
