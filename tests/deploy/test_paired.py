"""The bound of a drop holds its level, and few images prove little."""

import numpy as np
import pytest
from scipy.stats import multinomial

from src.decision import percent_at_most
from src.deploy.paired import best_bound, draws_needed, drop_bound, pair

SMALL = 12


def missed(bounds, counts, drop, share):
    """Probability that the bound is below the true drop, summed over every outcome."""
    images = int(counts[0].sum())
    chances = multinomial.pmf(counts, images, [share + drop, share, max(0.0, 1 - drop - 2 * share)])
    return chances[bounds < drop].sum()


def test_the_bound_holds_its_level_whatever_the_true_shares_are():
    counts = np.array([[b, c, SMALL - b - c] for b in range(SMALL + 1) for c in range(SMALL + 1 - b)])
    bounds = np.array([drop_bound(int(b), int(c), SMALL) for b, c, _ in counts])
    risks = [
        missed(bounds, counts, drop, share * (1 - drop) / 2)
        for drop in (0.001, 0.01, 0.03, 0.1, 0.15, 0.3)
        for share in np.linspace(0, 1, 25) ** 2
    ]
    assert 0.04 < max(risks) <= 0.05 + 1e-6


@pytest.mark.slow
def test_it_holds_its_level_on_drawn_pairs():
    random, images, drop, share = np.random.default_rng(0), 148, 0.03, 0.01
    drawn = random.multinomial(images, [drop + share, share, 1 - drop - 2 * share], size=4000)
    outcomes, times = np.unique(drawn[:, :2], axis=0, return_counts=True)
    below = [drop_bound(int(b), int(c), images) < drop for b, c in outcomes]
    assert times[np.array(below)].sum() / 4000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize(("images", "percent"), [(295, "1.02 %"), (598, "0.50 %"), (148, "2.01 %")])
def test_images_without_a_change_prove_what_clopper_and_pearson_say(images, percent):
    assert percent_at_most(best_bound(images)) == percent  # rounded up, never towards the promise
    assert drop_bound(0, 0, images) == pytest.approx(best_bound(images), abs=2e-6)
    assert drop_bound(0, 0, images) >= best_bound(images)


def test_draws_needed_are_the_fewest():
    assert draws_needed(0.005) == 598 and draws_needed(0.03) == 99 and draws_needed(1.0) == 1
    for bound in (0.005, 0.03, 0.2):
        assert best_bound(draws_needed(bound)) <= bound < best_bound(draws_needed(bound) - 1)


def test_what_got_better_counts_against_what_got_worse():
    assert drop_bound(2, 4, 148) < drop_bound(2, 2, 148) < drop_bound(2, 0, 148) < drop_bound(3, 0, 148)
    before, after = np.array([True, True, False, False, True]), np.array([True, False, True, False, True])
    found = pair(before, after)
    assert (found.draws, found.worse, found.better) == (5, 1, 1) and found.drop_bound == drop_bound(1, 1, 5)
    assert pair(before[:0], after[:0]).drop_bound == 1.0 and drop_bound(5, 0, 5) == 1.0


def test_a_unit_is_one_draw_and_got_worse_if_any_of_its_pictures_did():
    before = np.array([True, True, True, False, True, False])
    after = np.array([False, True, True, True, True, True])
    found = pair(before, after, [0, 0, 1, 0, 2, 3])  # unit 0 has one of each, unit 3 got better
    assert (found.draws, found.worse, found.better) == (4, 1, 1)


@pytest.mark.slow
def test_whole_groups_that_fall_are_not_many_draws():
    random, groups, each = np.random.default_rng(0), 15, 10
    units, below = np.repeat(np.arange(groups), each), 0
    for _ in range(400):
        fell = random.random(groups) < 0.05
        right = np.ones(groups * each, dtype=bool)
        below += pair(right, ~fell[units], units.tolist()).drop_bound < 0.05
    assert below / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
