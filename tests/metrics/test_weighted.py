import numpy as np
import pytest

from src.metrics.weighted import mean, ratio, resamples, total


def test_resamples_draw_as_many_images_as_there_are():
    blocks = list(resamples(np.arange(40), 25, seed=3))
    drawn = np.concatenate(blocks)
    assert drawn.shape == (25, 40) and (drawn.sum(axis=1) == 40).all()
    assert np.array_equal(np.concatenate(list(resamples(np.arange(40), 25, seed=3))), drawn)


def test_undefined_is_nan_and_left_out_of_a_mean():
    divided = ratio(np.array([[1.0, 3.0, 5.0]]), np.array([[2.0, 0.0, 5.0]]))
    assert divided[0].tolist() == pytest.approx([0.5, np.nan, 1.0], nan_ok=True)
    assert mean(divided).tolist() == [0.75]
    assert total(np.array([[1.0, 2.0]]), np.array([3.0, 4.0])).tolist() == [11.0]
