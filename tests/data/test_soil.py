from dataclasses import replace

import numpy as np

from src.data.soil import draw_soil, draw_tray, expose


def test_soil_is_a_function_of_the_seed_and_stays_in_range():
    def drawn(seed):
        random = np.random.default_rng(seed)
        tray = draw_tray(random)
        return expose(draw_soil(tray, 40, random), tray, random)

    assert np.array_equal(drawn(1), drawn(1)) and not np.array_equal(drawn(1), drawn(2))
    assert drawn(1).shape == (40, 40, 3)


def test_what_is_too_bright_or_too_dark_is_cut_to_the_range():
    tray = replace(draw_tray(np.random.default_rng(0)), noise=0.5)
    ramp = np.broadcast_to(np.linspace(0, 1, 40)[:, None], (40, 40, 3))
    exposed = expose(ramp, tray, np.random.default_rng(0))
    assert (exposed.min(), exposed.max()) == (0, 1)


def test_pictures_of_one_tray_have_its_colour():
    first, second = (draw_tray(np.random.default_rng(seed)) for seed in (0, 1))

    def mean(tray, seed):
        return draw_soil(tray, 96, np.random.default_rng(seed)).mean((0, 1))

    within = np.abs(mean(first, 5) - mean(first, 6)).max()
    assert within < np.abs(mean(first, 5) - mean(second, 6)).max()
