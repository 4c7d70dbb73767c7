import numpy as np

from src.data.quality.label_errors import LEAST, suspects


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
    found = suspects(features, labels, list(range(1000, 1120)), list(range(120)))
    places = {suspect.position - 1000 for suspect in found}
    assert places <= wrong and len(places) >= 3
    assert all(suspect.suggested == "abc"[truth[suspect.position - 1000]] for suspect in found)
    assert all(0.5 < suspect.probability <= 1 for suspect in found)


def test_a_clean_set_has_none():
    features, labels, _ = blobs()
    assert suspects(features, labels, list(range(120)), list(range(120))) == []


def test_copies_do_not_vouch_for_one_another():
    features, labels, _ = blobs(wrong={3})
    features[4], labels[4] = features[3], labels[3]  # the copy has the same wrong label
    units = [3 if place == 4 else place for place in range(120)]
    found = suspects(features, labels, list(range(120)), units)
    assert {suspect.position for suspect in found} == {3, 4}


def test_classes_that_are_too_small_are_not_judged():
    features, labels, _ = blobs(count=3 * (LEAST - 1))
    assert suspects(features, labels, list(range(len(labels))), list(range(len(labels)))) == []


def test_a_small_class_does_not_keep_the_others_from_being_judged():
    features, labels, _ = blobs(wrong={3, 40, 77, 101})
    features = np.concatenate([features, features[:4] + 9])
    found = suspects(features, [*labels, *"dddd"], list(range(124)), list(range(124)))
    assert len(found) >= 3 and {suspect.position for suspect in found} <= {3, 40, 77, 101}
