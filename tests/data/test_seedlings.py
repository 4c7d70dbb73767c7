import pytest
from PIL import Image

from src.data import SeedlingsData
from src.data.seedlings import draw
from src.targets import instantiate


def read(root, image, **options):
    return SeedlingsData(root, count=6, image=image, **options).read()


def test_a_picture_is_a_function_of_seed_tray_species_and_number():
    assert draw(1, 2, 3, 4) == draw(1, 2, 3, 4)
    assert len({draw(*key) for key in ((1, 2, 3, 4), (0, 2, 3, 4), (1, 0, 3, 4), (1, 2, 0, 4), (1, 2, 3, 0))}) == 5


def test_the_pictures_are_drawn_once_and_a_broken_off_folder_is_healed(tmp_path, image):
    index = read(tmp_path, image)
    files = {sample.path: sample.path.read_bytes() for sample in index.samples}
    assert len(files) == 24 and set(tmp_path.rglob("*.jpg")) == set(files)
    gone, kept = index.samples[3].path, index.samples[0].path
    time = kept.stat().st_mtime_ns
    gone.unlink()
    again = read(tmp_path, image)
    assert gone.read_bytes() == files[gone] and kept.stat().st_mtime_ns == time
    assert again.fingerprint == index.fingerprint != read(tmp_path, image, drawing_seed=1).fingerprint
    for path in files:
        with Image.open(path) as picture:
            assert 128 <= picture.width == picture.height <= 192


def test_everything_that_names_them_says_synthetic(tmp_path, image):
    index = read(tmp_path, image)
    assert index.name == "seedlings (synthetic)" and "synthetic" in index.notes[0]
    assert index.licence == "Apache-2.0, drawn by Graft"
    assert index.classes == ("grass", "lanceolate", "lobed", "rosette") and index.positive is None


def test_trays_stay_together_and_hold_every_species(tmp_path, image, data_config):
    config = data_config("seedlings")
    data = instantiate(config, root=str(tmp_path), count=8)(image=image)
    data.setup()
    trays = {split: {sample.group for sample in data.samples(split)} for split in ("train", "val", "test")}
    assert sum(map(len, trays.values())) == 4 == len(set.union(*trays.values()))
    for split, held in trays.items():
        assert data.counts[split] == dict.fromkeys(data.classes, 2 * len(held))


def test_too_few_trays_are_refused(tmp_path, image):
    with pytest.raises(ValueError, match=r"data\.count=4 is too few for three trays: draw 5 or more"):
        SeedlingsData(tmp_path, count=4, image=image)
