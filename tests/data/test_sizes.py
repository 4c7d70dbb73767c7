import pytest
from omegaconf import OmegaConf

from src.data import FolderData
from src.data.sizes import input_size
from tests.conftest import draw


@pytest.mark.parametrize(("asked", "size"), [(64, (64, 64)), ([64, 96], (64, 96)), ((5, 3), (5, 3))])
def test_a_number_is_both_sides_and_two_are_height_and_width(asked, size):
    assert input_size(asked) == size == input_size(OmegaConf.create({"size": asked}).size)


@pytest.mark.parametrize("asked", [0, -1, 6.5, True, "x", [], [64], [64, 0], [64, "x"], [64, True], [1, 2, 3], None])
def test_what_is_no_size_is_refused(asked):
    with pytest.raises(ValueError, match=r"must be a number of pixels such as 224, or \[height,width\]"):
        input_size(asked)


def test_more_than_a_picture_may_have_is_refused():
    with pytest.raises(ValueError, match="more than the 100,000,000 pixels"):
        input_size([10_001, 10_000])


@pytest.mark.parametrize("cached", [True, False])
def test_images_are_loaded_and_cached_in_height_and_width(image, tmp_path, cached):
    for split, first in (("train", 0), ("val", 10), ("test", 20)):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(3):
                draw(first + number + 1000 * (label == "a"), label == "b").save(
                    tmp_path / split / label / f"{number}.png"
                )
    cache = str(tmp_path / "cache") if cached else None
    for _ in range(2):
        data = FolderData(tmp_path, image=image, image_size=[6, 10], cache_dir=cache, batch_size=2)
        data.setup()
        for loader in (data.train_dataloader(), data.loader("test")):
            assert next(iter(loader))[0].shape == (2, 3, 6, 10)
    assert data.collection().side == 6
