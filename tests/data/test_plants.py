import numpy as np
import pytest
from PIL import Image

from src.data.plants import SPECIES, draw_litter, draw_plant


@pytest.mark.parametrize("species", SPECIES)
def test_a_plant_is_green_and_a_function_of_the_seed(species):
    def drawn(seed):
        return np.asarray(draw_plant(Image.new("RGB", (96, 96), (90, 70, 50)), species, np.random.default_rng(seed)))

    pixels = drawn(3).astype(int)
    green = (pixels[..., 1] > pixels[..., 0]) & (pixels[..., 1] > pixels[..., 2])
    assert 0.005 < green.mean() < 0.6
    assert np.array_equal(drawn(3), drawn(3)) and not np.array_equal(drawn(3), drawn(4))


def test_litter_leaves_the_middle_to_the_plant():
    ground = Image.new("RGB", (96, 96), (90, 70, 50))
    pictures = [np.asarray(draw_litter(ground, np.random.default_rng(seed))) for seed in range(40)]
    drawn = np.mean([(picture != np.asarray(ground)).any(2) for picture in pictures], 0)  # how often, by pixel
    assert 0 < drawn[36:60, 36:60].mean() < drawn.mean() < 0.2
