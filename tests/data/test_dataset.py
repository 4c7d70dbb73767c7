import pytest
import torch
from torch.utils.data import DataLoader

from src.data.dataset import ImageDataset
from src.data.sampler import Draw, EpochSampler
from src.data.transforms import crops


@pytest.fixture(params=["kept", "decoded"])
def pixels(tmp_path, open_cache, write_image, request):
    folder = tmp_path / "cache" if request.param == "kept" else None
    return open_cache([write_image(tmp_path / f"{index}.png", index) for index in range(6)], folder)


def test_an_item_is_the_pixels_the_target_and_its_own_index(pixels):
    dataset = ImageDataset(pixels, [4, 2], [1, 0])
    image, target, index = dataset[1]
    assert torch.equal(image, pixels[2])
    assert (target, index, len(dataset)) == (0, 1, 2)


def test_augmentation_is_a_function_of_seed_epoch_and_index(pixels):
    def item(seed, epoch, index):
        torch.manual_seed(torch.seed())
        return ImageDataset(pixels, [0] * 6, [0] * 6, crops(), seed)[Draw(epoch, index)][0]

    assert torch.equal(item(1, 2, 3), item(1, 2, 3))
    images = {item(seed, epoch, index).numpy().tobytes() for seed in (0, 1) for epoch in (0, 1) for index in range(6)}
    assert len(images) == 24


def test_augmentation_leaves_torchs_random_numbers_alone(pixels):
    dataset = ImageDataset(pixels, [0], [0], crops())
    torch.manual_seed(5)
    state = torch.get_rng_state()
    dataset[0]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("pixels", "method"),
    [("kept", "fork"), pytest.param("kept", "spawn", marks=pytest.mark.slow), ("decoded", "fork")],
    indirect=["pixels"],
)
def test_workers_give_the_batches_of_the_main_process(pixels, method):
    def epochs(workers):
        sampler = EpochSampler(6, seed=7)
        dataset = ImageDataset(pixels, range(6), range(6), crops(), seed=7)
        options = {"persistent_workers": True, "multiprocessing_context": method} if workers else {}
        loader = DataLoader(dataset, 4, sampler=sampler, num_workers=workers, **options)
        for epoch in range(3):
            sampler.set_epoch(epoch)
            yield from loader

    for alone, worked in zip(epochs(0), epochs(2), strict=True):
        assert all(torch.equal(left, right) for left, right in zip(alone, worked, strict=True))
