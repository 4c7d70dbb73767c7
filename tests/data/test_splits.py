import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data import Sample
from src.data.dataset_index import SPLITS
from src.data.splits import Fold, split, together
from src.errors import TooFewImages

ROOT = Path()


@st.composite
def plain(draw):
    """Samples without groups and copies, in a drawn order: every class has at least 4 images."""
    counts = draw(
        st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(4, 40), min_size=1, max_size=3), min_size=1)
    )
    samples = [
        Sample(Path(f"{label}{stratum}/{index}"), label, stratum=str(stratum))
        for label, sizes in counts.items()
        for stratum, size in enumerate(sizes)
        for index in range(size)
    ]
    return draw(st.permutations(samples))


def names(samples: list[Sample]) -> list[str]:
    return [str(sample.path) for sample in samples]


def by_path(samples: list[Sample], **options) -> dict[str, str]:
    return dict(zip(names(samples), split(samples, names(samples), ROOT, **options), strict=True))


@given(plain(), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_every_stratum_keeps_its_proportions_within_one_image(samples, seed):
    found = by_path(samples, seed=seed)
    assert set(found.values()) == {"train", "val", "test"}
    counts = Counter((sample.label, sample.stratum, found[str(sample.path)]) for sample in samples)
    for (label, stratum), size in Counter((sample.label, sample.stratum) for sample in samples).items():
        test, val = counts[label, stratum, "test"], counts[label, stratum, "val"]
        assert abs(test - 0.25 * size) <= 1
        assert abs(val - 0.15 * (size - test)) <= 1
    for label, size in Counter(sample.label for sample in samples).items():
        test = sum(count for (own, _, name), count in counts.items() if (own, name) == (label, "test"))
        assert abs(test - 0.25 * size) <= 0.5


@given(plain(), st.integers(0, 99), st.randoms())
@settings(deadline=None, max_examples=40)
def test_neither_the_order_nor_the_folder_matters(samples, seed, random):
    turned = random.sample(samples, len(samples))
    moved = [replace(sample, path=Path("/elsewhere") / sample.path) for sample in turned]
    first = by_path(samples, seed=seed)
    assert by_path(turned, seed=seed) == first
    assert split(moved, names(turned), Path("/elsewhere"), seed=seed) == [first[name] for name in names(turned)]


def test_another_seed_is_another_split():
    samples = [Sample(Path(str(index)), "ab"[index % 2]) for index in range(60)]
    assert len({tuple(split(samples, names(samples), ROOT, seed=seed)) for seed in range(10)}) == 10


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60), st.sampled_from("ab")), min_size=60, max_size=120))
@settings(deadline=None, max_examples=60)
def test_groups_and_copies_stay_together(rows):
    samples = [
        Sample(Path(str(index)), label, group=f"g{group}" if group < 20 else None)
        for index, (group, _, label) in enumerate(rows)
    ]
    digests = [str(content) for _, content, _ in rows]
    try:
        found = split(samples, digests, ROOT)
    except ValueError as error:
        assert "too few" in str(error)
        return
    homes: dict[str, set[str]] = {}
    for sample, digest, name in zip(samples, digests, found, strict=True):
        homes.setdefault(f"content {digest}", set()).add(name)
        if sample.group:
            homes.setdefault(sample.group, set()).add(name)
    assert all(len(home) == 1 for home in homes.values())


def test_groups_keep_the_proportions_nearly():
    samples = [Sample(Path(str(index)), "ab"[index // 200], group=str(index // 5)) for index in range(400)]
    counts = Counter(zip((sample.label for sample in samples), split(samples, names(samples), ROOT), strict=True))
    for label in "ab":
        assert abs(counts[label, "test"] - 50) <= 3
        assert abs(counts[label, "val"] - 22.5) <= 3


def test_groups_are_joined_through_a_copy():
    samples = [Sample(Path(str(index)), "ab"[index % 2]) for index in range(40)]
    samples += [Sample(Path(f"x{index}"), "a", group=f"g{index // 2}") for index in range(4)]
    digests = [*names(samples[:40]), "p", "q", "q", "r"]  # x1 and x2 are copies, so g0 and g1 are one
    for seed in range(20):
        assert len(set(split(samples, digests, ROOT, seed=seed)[40:])) == 1


@pytest.mark.parametrize("given_splits", [("train", "test"), ("train", "val"), ("train", "val", "test")])
def test_given_splits_stay_and_the_missing_one_is_cut_from_train(given_splits):
    samples = [Sample(Path(f"{name}{index}"), "ab"[index % 2], name) for name in given_splits for index in range(40)]
    found = split(samples, names(samples), ROOT)
    moved = Counter((sample.split, name) for sample, name in zip(samples, found, strict=True) if sample.split != name)
    missing = {"train", "val", "test"} - set(given_splits)
    assert moved == {("train", name): {"val": 6, "test": 10}[name] for name in missing}


def test_three_images_of_a_class_are_enough_and_two_are_named():
    many = [Sample(Path(f"a{index}"), "a") for index in range(20)]
    few = [Sample(Path(f"rare{index}"), "rare") for index in range(3)]
    found = split(many + few, names(many + few), ROOT)
    assert sorted(found[20:]) == ["test", "train", "val"]
    with pytest.raises(ValueError, match=r"class 'rare' has 2 images, too few"):
        split(many + few[:2], names(many + few[:2]), ROOT)


def test_copies_do_not_count_as_more_images():
    samples = [Sample(Path(str(index)), "ab"[index % 2]) for index in range(20)]
    digests = [str(index) if index % 2 else "same" for index in range(20)]
    with pytest.raises(ValueError, match=r"class 'a' has 10 images.*copies and groups"):
        split(samples, digests, ROOT)


@pytest.mark.parametrize("fraction", [0, 1, -0.1])
def test_a_fraction_outside_0_and_1_is_refused(fraction):
    with pytest.raises(ValueError, match="test_fraction must be above 0 and below 1"):
        split([], [], ROOT, test_fraction=fraction)


def many(count, split=None):
    return [Sample(Path(f"/root/{label}/{number:03}.png"), label, split) for label in "ab" for number in range(count)]


def cut(samples, **options):
    return split(samples, [str(sample.path) for sample in samples], Path("/root"), **options)


def test_linked_images_stay_together_also_through_others():
    samples = many(40)
    links = [(0, 7), (7, 50), (12, 13)]
    assigned = cut(samples, links=links)
    assert assigned[0] == assigned[7] == assigned[50] and assigned[12] == assigned[13]
    apart = [cut(samples, seed=seed) for seed in range(20)]
    assert any(names[0] != names[7] for names in apart)  # without the link they would part


@pytest.mark.parametrize("steps", [(40, 41, 42, 60), (20, 80)])
def test_later_images_extend_the_splits_and_no_old_one_moves(steps):
    kept = {}
    for count in steps:
        samples = many(count)
        assigned = cut(samples, kept={place: kept[s.path] for place, s in enumerate(samples) if s.path in kept})
        now = {sample.path: name for sample, name in zip(samples, assigned, strict=True)}
        assert all(now[path] == name for path, name in kept.items())
        kept = now
    assert Counter(kept.values())["test"] == pytest.approx(0.25 * len(kept), abs=3)
    assert Counter(kept.values())["val"] == pytest.approx(0.15 * 0.75 * len(kept), abs=3)


def test_a_new_image_of_a_known_group_joins_it():
    samples = [replace(sample, group="tray") if place in (3, 79) else sample for place, sample in enumerate(many(40))]
    for name in ("train", "val", "test"):
        assert cut(samples, kept={3: name})[79] == name


def test_folds_part_the_images_and_each_keeps_the_classes():
    samples = [replace(sample, group=f"{sample.label}{place % 13}") for place, sample in enumerate(many(60))]
    tests = []
    for index in range(5):
        assigned = cut(samples, fold=Fold(5, index))
        tests.append({place for place, name in enumerate(assigned) if name == "test"})
        counts = Counter(samples[place].label for place in tests[-1])
        assert all(count == pytest.approx(12, abs=5) for count in counts.values())
        groups = [
            {s.group for s, name in zip(samples, assigned, strict=True) if name == part}
            for part in ("train", "val", "test")
        ]
        assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    assert sorted(place for part in tests for place in part) == list(range(120))


@pytest.mark.parametrize(("count", "index"), [(1, 0), (5, 5), (5, -1)])
def test_a_fold_that_is_not_there_is_refused(count, index):
    with pytest.raises(ValueError, match=r"data\.fold"):
        Fold(count, index)


def test_folds_of_a_source_with_splits_of_its_own_are_refused():
    with pytest.raises(ValueError, match=r"data\.folds"):
        cut(many(20, "train"), fold=Fold(5, 0))


@given(st.sets(st.sampled_from(["train", "val", "test"])), st.data())
@settings(deadline=None, max_examples=200)
def test_what_belongs_together_is_parted_by_the_source_alone(given, data):
    count = data.draw(st.integers(12, 40))
    named = data.draw(st.lists(st.sampled_from([None, *sorted(given)]), min_size=count, max_size=count))
    groups = data.draw(st.lists(st.sampled_from([None, *"abcdefgh"]), min_size=count, max_size=count))
    given = {name for name in named if name}
    open_splits = {name: {name} if name in ("val", "test") else {"train", "val", "test"} - given for name in given}
    may = [{"train", "val", "test"} if name is None else {name} | open_splits[name] for name in named]
    places = data.draw(st.sets(st.integers(0, count - 1), max_size=6))
    kept = {place: data.draw(st.sampled_from(sorted(may[place]))) for place in sorted(places)}
    samples = [
        Sample(Path(f"/r/{place:03}.png"), "ab"[place % 2], named[place], group=groups[place]) for place in range(count)
    ]
    digests = [str(place - place % 7) if place % 5 == 0 else str(place) for place in range(count)]
    links = data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=4))
    try:
        found = split(samples, digests, Path("/r"), kept=kept, links=links, val_fraction=0.5, test_fraction=0.5)
    except TooFewImages:
        return
    allowed = [{kept[place]} if place in kept else may[place] for place in range(count)]
    assert all(name in allowed[place] or named[place] is None for place, name in enumerate(found))
    for unit in together(samples, digests, range(count), links):
        if set.intersection(*(allowed[place] for place in unit)):
            assert len({found[place] for place in unit}) == 1


def test_what_the_source_parts_is_parted_no_further():
    samples = [replace(sample, split="test" if place in (3, 45) else "train") for place, sample in enumerate(many(40))]
    for seed in range(20):
        assert cut(samples, seed=seed, links=[(3, 4), (3, 5)])[3:6] == ["test", "train", "train"]


def test_an_image_of_train_stays_with_one_that_was_kept_in_train():
    samples = [replace(sample, group="tray" if place in (3, 79) else None) for place, sample in enumerate(many(40))]
    samples[79] = replace(samples[79], split="train")
    assert {cut(samples, seed=seed, kept={3: "train"})[79] for seed in range(20)} == {"train"}


def test_a_name_that_is_no_utf8_is_cut_like_any_other():
    samples = [replace(sample, path=sample.path.with_name(f"\udcff{sample.path.name}")) for sample in many(20)]
    assert Counter(cut(samples)) == Counter(cut(many(20)))


def test_without_calibration_the_splits_are_those_from_before_there_was_one():
    kept = {position: ("train", "val", "test")[position % 3] for position in range(0, 90, 7)}
    samples = many(90)
    found = [cut(samples), cut(samples, kept=kept), cut(samples, fold=Fold(4, 1)), cut(many(90, "train"))]
    drawn = hashlib.sha256("\n".join(" ".join(names) for names in found).encode()).hexdigest()
    assert drawn == "ff645fda9949ce64a51212613403c5617a77deb8ddf4bb1b6bf02a7ad4806029"


@given(plain(), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_calibration_is_cut_after_test_and_before_val_in_its_proportions(samples, seed):
    found, without = by_path(samples, seed=seed, calibration_fraction=0.25), by_path(samples, seed=seed)
    assert {path for path, name in found.items() if name == "test"} == {
        path for path, name in without.items() if name == "test"
    }
    counts = Counter((sample.label, found[str(sample.path)]) for sample in samples)
    for label in {sample.label for sample in samples}:
        size = sum(counts[label, name] for name in SPLITS) - counts[label, "test"]
        assert abs(counts[label, "calibration"] - 0.25 * size) <= 1
        assert abs(counts[label, "val"] - 0.15 * (size - counts[label, "calibration"])) <= 1


def test_a_group_does_not_part_between_calibration_and_the_rest():
    samples = [replace(sample, group=str(position // 4)) for position, sample in enumerate(many(120))]
    found = cut(samples, calibration_fraction=0.3)
    homes = {sample.group: name for sample, name in zip(samples, found, strict=True)}
    assert set(homes.values()) == set(SPLITS)
    assert found == [homes[sample.group] for sample in samples]


def test_an_image_that_was_kept_for_calibration_stays_although_none_is_cut():
    kept = dict.fromkeys(range(10), "calibration")
    found = cut(many(60), kept=kept)
    assert found[:10] == ["calibration"] * 10 and "calibration" not in found[10:]
    assert abs(found.count("val") - 0.15 * (110 - found.count("test"))) <= 1


@pytest.mark.parametrize("fraction", [1, -0.1, float("nan")])
def test_a_calibration_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match="calibration_fraction must be at least 0 and below 1, not"):
        cut(many(60), calibration_fraction=fraction)


def test_a_calibration_fraction_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(TooFewImages, match="too few to give one to train"):
        cut(many(8), calibration_fraction=0.99)
