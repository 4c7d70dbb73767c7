"""The bound of a drop holds its level, and few images prove little."""

import numpy as np
import pytest
from scipy.stats import multinomial

from src.deploy.paired import best_bound, drop_bound, images_needed, pair

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


@pytest.mark.parametrize(("images", "percent"), [(295, "1.01%"), (598, "0.50%"), (148, "2.00%")])
def test_images_without_a_change_prove_what_clopper_and_pearson_say(images, percent):
    assert f"{best_bound(images):.2%}" == percent
    assert drop_bound(0, 0, images) == pytest.approx(best_bound(images), abs=2e-6)
    assert drop_bound(0, 0, images) >= best_bound(images)


def test_images_needed_are_the_fewest():
    assert images_needed(0.005) == 598 and images_needed(0.03) == 99 and images_needed(1.0) == 1
    for bound in (0.005, 0.03, 0.2):
        assert best_bound(images_needed(bound)) <= bound < best_bound(images_needed(bound) - 1)


def test_what_got_better_counts_against_what_got_worse():
    assert drop_bound(2, 4, 148) < drop_bound(2, 2, 148) < drop_bound(2, 0, 148) < drop_bound(3, 0, 148)
    before, after = np.array([True, True, False, False, True]), np.array([True, False, True, False, True])
    found = pair(before, after)
    assert (found.images, found.worse, found.better) == (5, 1, 1) and found.drop_bound == drop_bound(1, 1, 5)
    assert pair(before[:0], after[:0]).drop_bound == 1.0 and drop_bound(5, 0, 5) == 1.0
