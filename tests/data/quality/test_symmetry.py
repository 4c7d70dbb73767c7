"""A linear model on drawn features tells where a flip changes the class, and only there."""

import numpy as np
import pytest

from src.data.quality.symmetry import LEAST, _lost, find_symmetry

NAMES = ("horizontal", "both", "rotate90")


def drawn(classes, upright=(), images=120, seed=0):
    """Return targets and the features of pictures as they are, mirrored and turned.

    A picture shows its class in one direction; of the classes in `upright` each half lies opposite the next one, and a
    flip swaps the two. Turns and mirrors move all features, as they do in a real network.
    """
    generator = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    partner = np.arange(classes)
    for left, right in upright:
        partner[[left, right]] = right, left
    shown = generator.normal(size=(classes, 40))

    def seen(of, shift):
        return (shown[of] + generator.normal(scale=0.7, size=(images, 40)) + shift).astype(np.float32)

    flipped = {name: seen(partner[labels], generator.normal(scale=0.2, size=40)) for name in NAMES}
    return labels, np.eye(classes, dtype=np.float32)[labels], seen(labels, 0), flipped


def found(targets, upright, moved, units=None):
    taken = []

    def given(name):
        return lambda: taken.append(name) or moved[name]

    result = find_symmetry(upright, {name: given(name) for name in moved}, targets, units or list(range(len(upright))))
    return result, taken


@pytest.mark.parametrize("classes", [2, 5, 20])
@pytest.mark.parametrize("seed", range(5))
def test_pictures_that_keep_their_class_may_be_turned(classes, seed):
    _, targets, upright, moved = drawn(classes, seed=seed)
    result, taken = found(targets, upright, moved)
    assert result.name == "all" and taken == list(NAMES)
    assert "120 pictures keep what they are: points of error horizontal " in result.why


@pytest.mark.parametrize(("classes", "pairs"), [(2, [(0, 1)]), (5, [(1, 3)]), (20, [(4, 9)])])
@pytest.mark.parametrize("seed", range(5))
def test_where_a_flip_gives_another_class_the_upright_side_matters(classes, pairs, seed):
    _, targets, upright, moved = drawn(classes, pairs, images=240, seed=seed)
    result, _ = found(targets, upright, moved)
    assert result.name == "none" and result.why.startswith(
        "the upright side matters: points of error with flipped pictures horizontal +"
    )


@pytest.mark.parametrize("view", ["both", "rotate90"])
def test_what_may_be_mirrored_but_not_turned(view):
    _, targets, upright, moved = drawn(4)
    moved[view] = drawn(4, [(0, 1)])[3][view]
    assert found(targets, upright, moved)[0].name == "horizontal"


def test_values_and_several_labels_are_judged_too():
    labels, _, upright, moved = drawn(4, [(0, 3), (1, 2)], images=240)
    same = drawn(4, images=240)[3]
    values, several = labels[:, None].astype(np.float32), np.stack([labels > 1, labels > 4, labels > -1], 1)
    for targets in (values, several.astype(np.float32)):
        assert found(targets, upright, moved)[0].name == "none"
        assert found(targets, upright, same)[0].name == "all"


def test_few_pictures_tell_nothing_and_copies_are_one_picture():
    _, targets, upright, moved = drawn(2, [(0, 1)])
    few, taken = found(targets, upright, moved, [place % (LEAST - 1) for place in range(120)])
    assert few.name == "all" and "19 pictures or groups are too few" in few.why and not taken


@pytest.mark.parametrize(("rare", "matters"), [(1, False), (2, False), (3, False), (8, True)])
def test_a_class_of_very_few_pictures_forbids_nothing_by_chance(rare, matters):
    more = np.concatenate([np.zeros(200), np.ones(rare)])  # each of the rare ones is taken for another when flipped
    classes = [np.arange(50 * each, 50 * each + 50) for each in range(4)] + [np.arange(200, 200 + rare)]
    assert _lost(more, classes)[1] == matters
