import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.backbones import image_spec
from src.data import FolderData
from src.tasks import (
    note_data,
    require_own_cut,
    require_own_images,
    require_same_cut,
    require_same_images,
    require_unseen,
    used_data,
)


@pytest.fixture
def root(plates, tmp_path):
    """The plates, half of them in a test folder of their own."""
    root = tmp_path / "plates"
    for path in sorted(plates.rglob("*.png")):
        place = root / ("test" if int(path.stem) < 10 else "train") / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return root


def read(root, **options):
    data = FolderData(root, image=image_spec("test_efficientnet"), image_size=32, **options)
    data.setup()
    return data


def run_of(folder: Path, data, **told):
    """A trained file in a run folder that noted its data."""
    folder.mkdir()
    note_data(folder, data)
    return SimpleNamespace(path=folder / "adapter.safetensors", provenance={"data": {**used_data(data), **told}})


def test_equal_images_must_be_cut_as_in_the_training(root, tmp_path):
    data = read(root)
    trained = run_of(tmp_path / "run", data)
    require_own_cut(trained, read(root), judging=True)
    for judging in (True, False):
        with pytest.raises(ValueError, match="cut into other splits than in the training"):
            require_own_cut(trained, read(root, split_seed=1), judging)


def test_new_images_are_judged_and_those_of_the_training_are_not(root, tmp_path, caplog):
    data = read(root)
    trained = run_of(tmp_path / "run", data)
    new = root / "test" / "good" / "new.png"
    shutil.copy(root / "test" / "good" / "00.png", new)
    new.write_bytes(new.read_bytes() + b"\0")
    require_own_cut(trained, read(root), judging=True)
    assert "are not those of the training any more: figures will differ" in caplog.text
    shutil.copy(data.samples("train")[0].path, new)
    with pytest.raises(ValueError, match=rf"images to judge were trained on \(\d, {new} first\)"):
        require_own_cut(trained, read(root), judging=True)
    require_own_cut(trained, read(root), judging=False)
    (trained.path.parent / "data.json").unlink()
    with pytest.raises(ValueError, match=r"no data\.json of its run, so one that was trained on may be in val or test"):
        require_own_cut(trained, read(root), judging=True)


def test_what_was_not_noted_is_told(root, tmp_path, caplog):
    data = read(root)
    older = SimpleNamespace(path=tmp_path / "adapter.safetensors", provenance={"data": {"fingerprint": "0"}})
    require_own_cut(older, data, judging=True)
    assert "did not note its splits" in caplog.text
    assert not require_unseen(older, data)
    assert not require_unseen(run_of(tmp_path / "run", data, membership="of another run"), data)
    run = run_of(tmp_path / "noted", data)
    assert require_unseen(run, data)
    noted = json.loads((tmp_path / "noted" / "data.json").read_text())
    del noted["validated"]  # as a version wrote it that did not certify
    (tmp_path / "noted" / "data.json").write_text(json.dumps(noted))
    assert require_unseen(run, data) and not require_unseen(run, data, "test")
    (tmp_path / "run" / "data.json").write_text("{")
    with pytest.raises(ValueError, match=r"data\.json is damaged"):
        require_same_images(tmp_path / "run", data)


def test_a_run_is_resumed_with_the_data_that_it_began_with(root, tmp_path, caplog):
    data = read(root)
    require_same_images(tmp_path, data)
    require_same_cut(tmp_path, data)
    assert "did not note its data" in caplog.text
    note_data(tmp_path, data)
    require_same_images(tmp_path, read(root))
    require_same_cut(tmp_path, read(root))
    for other in ({"split_seed": 1}, {"val_fraction": 0.3}, {"limit": 20}):
        with pytest.raises(ValueError, match=r"cut into other splits than those that .* began with"):
            require_same_cut(tmp_path, read(root, **other))
    (root / "test" / "good" / "00.png").unlink()
    with pytest.raises(ValueError, match=r"are not those that .* began with"):
        require_same_images(tmp_path, read(root))


def test_a_folder_that_is_called_the_data_of_the_training_must_be_them_under_any_name(root, tmp_path):
    data = read(root)
    trained = run_of(tmp_path / "run", data)
    elsewhere = root.rename(tmp_path / "elsewhere")
    require_own_images(trained, read(elsewhere), f"data.root={elsewhere}")
    require_own_cut(trained, read(elsewhere), judging=True)
    require_same_images(tmp_path / "run", read(elsewhere))
    require_same_cut(tmp_path / "run", read(elsewhere))
    seen = len(data.contents("train"))
    (elsewhere / data.samples("train")[0].path.relative_to(root)).unlink()
    with pytest.raises(ValueError, match=rf"^data\.root=there holds other images.*\({seen - 1} of the {seen} training"):
        require_own_images(trained, read(elsewhere), "data.root=there")
    with pytest.raises(ValueError, match=r"images of .*elsewhere are not those that .* began with"):
        require_same_images(tmp_path / "run", read(elsewhere))
