"""Every kind of fault is found where it was planted, and nothing on a clean set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.data import Sample
from src.data.quality import check
from src.data.quality.collection import Collection
from src.data.quality.duplicates import Duplicates
from src.data.quality.findings import FAR, FEW
from src.data.quality.image_stats import IMAGE_STATS
from src.data.quality.label_errors import LabelCheck, Suspect

NONE = Duplicates((), (), 0, 0)


def collection(count=60, **changes):
    """A clean set of two classes in three splits, with what `changes` plants in it."""
    rng = np.random.default_rng(0)
    image_stats = np.zeros(count, IMAGE_STATS)
    image_stats["width"], image_stats["height"], image_stats["mode"] = 640, 480, b"RGB"
    image_stats["brightness"], image_stats["sharpness"] = rng.normal(0.5, 0.05, count), 10 ** rng.normal(2, 0.2, count)
    samples = [
        Sample(Path(f"/r/{place:03}.png"), "ab"[place % 2], ("train", "train", "val", "test")[place // 2 % 4])
        for place in range(count)
    ]
    fields = {
        "samples": samples,
        "image_stats": image_stats,
        "errors": {},
        "duplicates": NONE,
        "labels": LabelCheck((), count),
    } | changes
    return Collection(classes=("a", "b"), side=224, **fields)


def found(data, **options):
    return {finding.kind: finding for finding in check(data, **options).findings}


def replaced(samples, place, **changes):
    sample = samples[place]
    fields = {"path": sample.path, "label": sample.label, "split": sample.split, "group": sample.group} | changes
    return [*samples[:place], Sample(**fields), *samples[place + 1 :]]


def test_a_clean_set_has_no_finding():
    audit = check(collection())
    assert audit.findings == () and audit.stopping == ()
    assert audit.to_dict()["passed"] and audit.to_dict()["counts"]["a"] == {"train": 16, "val": 7, "test": 7}


@pytest.mark.parametrize(
    ("kind", "duplicates"),
    [("exact_duplicates", Duplicates(((0, 4),), (), 0, 0)), ("near_duplicates", Duplicates((), ((0, 4),), 1, 1))],
)
def test_duplicates_stop_across_splits_alone(kind, duplicates):
    within = Duplicates(*(tuple((0, 2) for _ in pairs) for pairs in (duplicates.exact, duplicates.near)), 1, 1)
    audit = check(collection(duplicates=within))
    assert [finding.kind for finding in audit.findings] == [kind] and not audit.stopping
    audit = check(collection(duplicates=duplicates))
    assert [(f.kind, f.images, f.stops) for f in audit.findings] == [(f"{kind}_across_splits", ((0, 4),), True)]
    assert audit.stopping == audit.findings
    allowed = check(collection(duplicates=duplicates), [f"{kind}_across_splits"])
    assert allowed.findings == audit.findings and not allowed.stopping and allowed.to_dict()["passed"]


def test_a_kind_that_does_not_stop_cannot_be_allowed():
    with pytest.raises(ValueError, match="did you mean near_duplicates_across_splits"):
        check(collection(), ["near_duplicates_across_split"])


def test_one_picture_under_two_labels():
    kinds = found(collection(duplicates=Duplicates(((0, 1),), (), 0, 0)))
    assert kinds["two_labels"].images == ((0, 1),) and not kinds["two_labels"].stops


def test_hits_that_were_not_compared_are_told():
    assert "60,000" in found(collection(duplicates=Duplicates((), (), 60_000, 50_000)))["not_all_compared"].text


def test_groups_across_splits_stop():
    samples = replaced(replaced(collection().samples, 0, group="tray"), 4, group="tray")
    assert found(collection(samples=samples))["groups_across_splits"].images == ((0, 4),)
    together = replaced(replaced(collection().samples, 0, group="tray"), 2, group="tray")
    assert found(collection(samples=together)) == {}


def test_unreadable_files_are_named_and_count_for_nothing_else():
    data = collection(errors={5: "cut short"})
    data.image_stats[5] = np.zeros((), IMAGE_STATS)
    assert {kind: finding.images for kind, finding in found(data).items()} == {"unreadable": ((5,),)}
    assert found(data)["unreadable"].text == "1 image cannot be read: repair or remove it"
    assert check(data).to_dict()["errors"] == {"/r/005.png": "cut short"}
    assert not check(data).stopping


@pytest.mark.parametrize(("split", "stops"), [("train", False), ("val", True), ("test", True)])
def test_a_broken_image_stops_where_figures_come_from_it(split, stops):
    place = next(i for i, sample in enumerate(collection().samples) if sample.split == split)
    audit = check(collection(errors={place: "cut short"}, needed=("val", "test")))
    assert [finding.kind for finding in audit.stopping] == ["unreadable"] * stops
    assert ("data.on_error=skip" in audit.findings[0].text) == stops


def test_each_of_several_labels_is_counted():
    samples = [Sample(Path(f"/r/{place}.png"), "b", "train", labels=("a", "b")) for place in range(3)]
    samples += [Sample(Path("/r/none.png"), "a", "train", labels=())]  # one that the splits count with the commonest
    assert collection(count=4, samples=samples).counts == {"a": {"train": 3}, "b": {"train": 3}}


def test_few_images_and_rare_classes():
    few = collection(count=8 * (FEW - 1))
    assert set(found(few)) == {"few_images"}
    samples = collection().samples
    rare = [Sample(sample.path, "b" if place < 5 else "a", sample.split) for place, sample in enumerate(samples)]
    assert {"class_balance", "few_images"} == set(found(collection(samples=rare)))


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("brightness_outliers", "brightness", 0.02),
        ("brightness_outliers", "brightness", 0.99),
        ("sharpness_outliers", "sharpness", 0.4),
        ("small_images", "height", 100),
        ("unlike_sizes", "width", 3000),
        ("unlike_modes", "mode", b"L"),
    ],
)
def test_an_odd_picture_is_found(kind, field, value):
    data = collection()
    data.image_stats[field][7] = value
    kinds = found(data)
    assert kind in kinds and set(kinds) <= {kind, "unlike_sizes"}
    assert any(7 in together for together in kinds[kind].images)


def test_outliers_are_robust_deviations_from_the_median():
    data = collection()
    values = data.image_stats["brightness"]
    deviation = 1.4826 * np.median(np.abs(values - np.median(values)))
    values[7] = np.median(values) + 1.1 * FAR * deviation
    assert found(data)["brightness_outliers"].images == ((7,),)
    values[7] = np.median(values) + 0.8 * FAR * deviation
    assert found(data) == {}


def test_deep_pictures_that_use_few_bits():
    data = collection()
    data.image_stats["mode"], data.image_stats["brightness"], data.image_stats["brightest"] = b"I;16", 0.03, 3
    for brightest, advice in ((200, "=8"), (4000, "=12"), (256, "=9"), (65000, None)):
        data.image_stats["brightest"][5] = brightest
        text = found(data)["dark_deep_images"].text
        assert text.endswith(f"fit data.bit_depth{advice}" if advice else "lamp, lens cap, exposure?")
    data.image_stats["brightest"][5] = 4000
    assert "data.bit_depth" not in found(replace(data, bit_depth=12))["dark_deep_images"].text


def test_further_pages_are_told():
    data = collection()
    data.image_stats["frames"] = 1
    assert found(data) == {}
    data.image_stats["frames"][[3, 4]] = 5, 2
    assert found(data)["further_pages"].text.startswith("2 images with 5 further pages or frames")
    assert found(data)["further_pages"].images == ((3,), (4,))


def test_what_is_not_used_is_told_with_its_reason():
    data = replace(collection(), skipped=((Path("a/x.djvu"), "odd"), (Path("a/y.djvu"), "odd"), (Path("b"), "gone")))
    assert found(data)["not_used"].text == "3 files or folders are not used: a/x.djvu and 1 more: odd; b: gone"
    told = check(replace(data, ignored=4)).to_dict()
    assert told["skipped"][2] == {"path": "b", "reason": "gone"} and told["ignored"] == 4


def test_doubtful_labels_are_shown_with_what_they_look_like():
    data = collection(labels=LabelCheck((Suspect(3, "a", 0.97),), 60))
    assert found(data)["label_errors"].images == ((3,),)
    assert check(data).to_dict()["label_errors"] == [
        {"position": 3, "suggested": "a", "probability": 0.97, "path": "/r/003.png"}
    ]


def test_labels_that_were_not_examined_are_not_told_to_be_right():
    content = check(collection(labels=LabelCheck(reason="too few"))).to_dict()
    assert content["label_errors"] is None and content["labels"] == {"examined": 0, "not_examined": "too few"}
    assert check(collection()).to_dict()["label_errors"] == []


def test_a_finding_of_many_classes_stays_one_line():
    classes = tuple(f"class number {place:03}" for place in range(400))
    samples = [Sample(Path(f"/r/{place:03}.png"), label, "train") for place, label in enumerate(classes)]
    data = replace(collection(400, samples=samples), classes=classes)
    told = {finding.kind: finding.text for finding in check(data).findings}
    assert "; and 392 more; figures of these" in told["few_images"] and len(told["few_images"]) < 400
