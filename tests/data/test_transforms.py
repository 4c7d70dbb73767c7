import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from src.data.transforms import QuarterTurns, Turn, Zoom, crops, defects, none


def picture(height: int = 16, width: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_none_changes_nothing():
    assert torch.equal(none()(picture()), picture())


def test_quarter_turns_are_numpys_and_all_come():
    turn, seen = QuarterTurns(), set()
    expected = {np.rot90(picture().numpy(), turns, axes=(1, 2)).tobytes() for turns in range(4)}
    for seed in range(40):
        torch.manual_seed(seed)
        seen.add(turn(picture()).numpy().tobytes())
    assert seen == expected


def test_an_oblong_image_is_turned_by_half_turns_alone():
    expected = {picture(8, 12).numpy().tobytes(), picture(8, 12).numpy()[:, ::-1, ::-1].tobytes()}
    turn, seen = QuarterTurns(), set()
    for seed in range(40):
        torch.manual_seed(seed)
        turned = turn(picture(8, 12))
        assert turned.shape == (3, 8, 12)
        seen.add(turned.numpy().tobytes())
    assert seen == expected


def test_defects_without_exposure_gives_the_eight_symmetries():
    augment, seen = defects(brightness=0, contrast=0), set()
    pixels = picture().numpy()
    turned = [np.rot90(pixels, turns, axes=(1, 2)) for turns in range(4)]
    expected = {view.tobytes() for each in turned for view in (each, each[:, :, ::-1])}
    for seed in range(150):
        torch.manual_seed(seed)
        seen.add(augment(picture()).numpy().tobytes())
    assert seen == expected


def test_brightness_stays_within_its_bound():
    augment, grey = defects(brightness=0.3, contrast=0), torch.full((3, 8, 8), 100, dtype=torch.uint8)
    levels = []
    for seed in range(60):
        torch.manual_seed(seed)
        levels.append(int(augment(grey)[0, 0, 0]))
    assert 70 <= min(levels) < 80
    assert 120 < max(levels) <= 130


def test_zoom_is_torchvisions_random_resized_crop():
    for seed in range(5):
        torch.manual_seed(seed)
        ours = Zoom(0.5)(picture(16, 20))
        torch.manual_seed(seed)
        assert torch.equal(ours, v2.RandomResizedCrop((16, 20), scale=(0.5, 1.0))(picture(16, 20)))


@pytest.mark.parametrize("preset", [none, defects, crops])
@pytest.mark.parametrize("size", [(16, 16), (16, 24)])
def test_presets_keep_size_type_and_input(preset, size):
    before = picture(*size)
    torch.manual_seed(0)
    after = preset()(before)
    assert (after.shape, after.dtype) == (before.shape, torch.uint8)
    assert torch.equal(before, picture(*size))


def test_turn_is_torchvisions_rotation_inside_and_mirrors_outside():
    smooth = v2.functional.gaussian_blur(picture(40, 60), [5, 5])
    for seed in range(5):
        torch.manual_seed(seed)
        ours = Turn(20.0)(smooth)
        torch.manual_seed(seed)
        angle = float(torch.empty(()).uniform_(-20, 20))
        theirs = v2.functional.rotate(smooth, angle, v2.InterpolationMode.BILINEAR)
        inside = (slice(None), slice(12, 28), slice(12, 48))
        assert (ours[inside].int() - theirs[inside].int()).abs().max() <= 1
        plain = torch.full((3, 16, 24), 77, dtype=torch.uint8)
        assert torch.equal(Turn(20.0)(plain), plain)
