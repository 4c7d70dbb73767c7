import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import roc_auc_score

from src.decision import Mahalanobis, fit_mahalanobis, fit_strange_threshold


def features(count=300, size=16, classes=3, seed=0, spread=1.0):
    """Return features of classes with means of their own and one uneven covariance, and the classes."""
    draw, shape = np.random.default_rng(seed), np.random.default_rng(7)
    labels = draw.integers(0, classes, count)
    means, scale = shape.normal(0, 1, (classes, size)) + 2, spread * np.geomspace(0.1, 1, size)
    return means[labels] + draw.normal(0, 1, (count, size)) * scale, labels


def reference(training, labels, others):
    """Return the squared distances by scikit-learn, with every direction and in float64."""
    unit, far = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (training, others))
    means = np.stack([unit[labels == each].mean(axis=0) for each in np.unique(labels)])
    covariance = EmpiricalCovariance(assume_centered=True).fit(unit - means[np.searchsorted(np.unique(labels), labels)])
    return np.min([covariance.mahalanobis(far - mean) for mean in means], axis=0)


def test_with_every_direction_it_is_the_distance():
    training, labels = features()
    others = np.random.default_rng(1).normal(0, 1, (50, 16))
    fitted = fit_mahalanobis(training, labels, precision=np.float64)
    assert fitted.directions.shape == (16, 16) and fitted.rest == 0
    assert fitted.strangeness(others) == pytest.approx(reference(training, labels, others), rel=2e-3)
    halved = fit_mahalanobis(training, labels)
    assert halved.strangeness(others) == pytest.approx(reference(training, labels, others), rel=2e-2)


def test_with_few_directions_strangers_are_still_found():
    training, labels = features(400, 200)
    inside, _ = features(400, 200, seed=1)
    outside = np.random.default_rng(2).normal(1, 1, (400, 200))
    fitted = fit_mahalanobis(training, labels, most=12)
    assert fitted.directions.shape == (12, 200) and fitted.directions.dtype == np.float16
    truth = np.repeat([0, 1], 400)
    few = fitted.strangeness(np.concatenate([inside, outside]))
    assert roc_auc_score(truth, few) > 0.99
    near, far = features(400, 200, seed=1, spread=1.5)[0], inside
    assert roc_auc_score(truth, fitted.strangeness(np.concatenate([far, near]))) > 0.95


def test_a_class_that_was_held_out_is_strange():
    training, labels = features(500, 64, classes=5)
    others, kinds = features(500, 64, classes=5, seed=1)
    fitted = fit_mahalanobis(training[labels < 4], labels[labels < 4])
    assert roc_auc_score(kinds == 4, fitted.strangeness(others)) > 0.95


@pytest.mark.parametrize("classes", [1, 2, 38])
def test_size_in_a_file(classes):
    draw = np.random.default_rng(0)
    fitted = fit_mahalanobis(draw.random((120, 1280)), np.arange(120) % classes if classes > 1 else None, most=200)
    assert sum(tensor.nbytes for tensor in fitted.tensors().values()) <= 300_000
    assert len(fitted.directions) == max(1, (120 - classes) // 2)
    tight = fit_mahalanobis(draw.random((120, 1280)), None, limit_bytes=50_000)
    assert 45_000 < sum(tensor.nbytes for tensor in tight.tensors().values()) <= 50_000


def test_it_comes_back_from_a_file_as_it_was():
    training, labels = features()
    fitted = fit_mahalanobis(training, labels, most=4)
    again = Mahalanobis.from_tensors(fitted.tensors())
    assert (again.strangeness(training) == fitted.strangeness(training)).all()
    assert again.strangeness(training).dtype == np.float32
    tensors = fitted.tensors()
    for change in (
        {"center": tensors["center"][1:]},
        {"weights": tensors["weights"] * np.nan},
        {"means": tensors["means"][0]},
        {"rest": np.zeros(2, np.float32)},
    ):
        with pytest.raises(ValueError, match="do not fit together"):
            Mahalanobis.from_tensors(tensors | change)
    with pytest.raises(ValueError, match="statistics of features have center, directions"):
        Mahalanobis.from_tensors({name: tensors[name] for name in ("center", "rest")})


def test_scale_has_no_say_and_the_order_of_pictures_neither():
    training, labels = features()
    fitted, order = fit_mahalanobis(training, labels), np.random.default_rng(0).permutation(len(training))
    assert fitted.strangeness(training * 7) == pytest.approx(fitted.strangeness(training), rel=1e-3)
    shuffled = fit_mahalanobis(training[order], [f"class {label}" for label in labels[order]])
    assert shuffled.strangeness(training) == pytest.approx(fitted.strangeness(training), rel=2e-2)


def test_a_picture_that_excites_nothing_is_strange():
    training, labels = features()
    fitted = fit_mahalanobis(training, labels)
    assert fitted.strangeness(np.zeros((1, 16)))[0] > 10 * fitted.strangeness(training).max()


def test_alike_and_few_pictures():
    two = np.repeat([[1.0, 0, 0], [0, 1.0, 0]], 4, axis=0)
    fitted = fit_mahalanobis(two, np.repeat([0, 1], 4))  # no variance within the classes
    found = fitted.strangeness([[1, 0, 0], [0, 0, 1]])
    assert np.isfinite(found).all() and found[0] < found[1]
    with pytest.raises(ValueError, match="8 pictures of 1 classes say too little"):
        fit_mahalanobis(np.ones((8, 3)))
    with pytest.raises(ValueError, match="2 pictures of 1 classes"):
        fit_mahalanobis(np.eye(2))
    with pytest.raises(ValueError, match="4 pictures of 4 classes"):
        fit_mahalanobis(np.eye(4), [0, 1, 2, 3])
    with pytest.raises(ValueError, match="4 pictures, and 2 have a label"):
        fit_mahalanobis(np.eye(4), [0, 1])
    with pytest.raises(ValueError, match="bytes do not hold the statistics of 16 features"):
        fit_mahalanobis(*features(), limit_bytes=80)
    with pytest.raises(ValueError, match=r"1 of . pictures have features that are NaN"):
        fit_mahalanobis([[np.nan, 1], [1, 0], [0, 1], [1, 1]])
    with pytest.raises(ValueError, match="pictures x 3"):
        fitted.strangeness(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"1 of . pictures have features that are NaN"):
        fitted.strangeness([[1e200, 0, 0]])
    with pytest.raises(ValueError, match=r"1 of . pictures have features that are NaN"):
        fitted.strangeness([[np.inf, 0, 0]])


def test_the_threshold_of_the_unknown():
    values = np.random.default_rng(0).permutation(1000).astype(float)
    found = fit_strange_threshold(values)
    assert (found.threshold, found.pictures, found.alarms, found.false_alarm_rate) == (989, 1000, 10, 0.01)
    assert found.false_alarm_upper_bound == pytest.approx(0.0169, abs=1e-4)
    few = fit_strange_threshold([1, 2, 3, 4, 5])
    assert (few.threshold, few.alarms) == (5, 0) and few.false_alarm_upper_bound == pytest.approx(1 - 0.05 ** (1 / 5))
    assert fit_strange_threshold([0.1] * 50 + [0.3] * 50).threshold >= 0.3


def test_the_bound_of_false_alarms_holds():
    draw = np.random.default_rng(0)
    fitted = [fit_strange_threshold(draw.random(200), 0.05) for _ in range(2000)]
    beyond = np.mean([1 - each.threshold > each.false_alarm_upper_bound for each in fitted])
    assert 0.03 < beyond <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, np.nan], {}, "1 of 2 strangeness are NaN"),
        ([1.0, 1.0], {}, "equally strange"),
        ([1.0, np.inf, np.inf], {}, "infinitely strange"),
        ([], {}, "at least one number"),
        ([1.0, 2.0], {"false_alarms": 0}, "false_alarms=0"),
        ([1.0, 2.0], {"confidence": 1}, "confidence=1"),
    ],
)
def test_thresholds_of_what_means_nothing(values, options, message):
    with pytest.raises(ValueError, match=message):
        fit_strange_threshold(values, **options)
