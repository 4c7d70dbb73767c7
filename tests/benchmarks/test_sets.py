import pytest

from src.backbones import image_spec
from src.benchmarks.sets import ROOT, SETS, find_sets, open_set

IMAGE = image_spec("test_efficientnet")


@pytest.fixture
def root(tmp_path, plates):
    (tmp_path / "plates").symlink_to(plates)
    (tmp_path / "xsdd").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "README.md").write_text("no set")
    return tmp_path


def test_every_folder_is_a_set_and_each_absent_one_is_named(root, monkeypatch):
    def absent():
        raise ValueError('the ELPV images are not installed: run pip install -e ".[demo]"')

    monkeypatch.setattr("src.benchmarks.sets.package_root", absent)
    names, missing = find_sets((), root)
    assert names == ("xsdd", "plates") and list(missing) == ["elpv", "plantvillage_apple", "tomato_freshness"]
    assert "pip install" in missing["elpv"] and "datasets_root=DIR" in missing["tomato_freshness"]
    assert find_sets(("plates", "elpv", "plates"), root) == (("plates",), {"elpv": missing["elpv"]})
    monkeypatch.setattr("src.benchmarks.sets.package_root", lambda: root)
    assert find_sets(("elpv",), root / "nowhere") == (("elpv",), {})


def test_the_folder_of_sets_is_one_that_a_user_can_make():
    assert not ROOT.is_absolute() and ".." not in ROOT.parts and ROOT.parts[0] == "data"


def test_a_mistyped_set_is_refused_and_a_known_one_that_is_absent_is_not(root):
    with pytest.raises(ValueError, match=r"datasets=plats is unknown \(did you mean plates\?\): choose from elpv"):
        find_sets(("plats",), root)
    assert set(find_sets(SETS[1:], root / "nowhere")[1]) == set(SETS[1:])


def test_a_set_is_read_whole(root):
    data = open_set("plates", root, image=IMAGE, image_size=64)
    data.setup()
    assert (data.image.crop_pct, data.image.crop_mode, data.image.size) == (1.0, "squash", (64, 64))
    assert data.classes == ("defect", "good")


def test_elpv_aims_at_the_experts_probability():
    pytest.importorskip("elpv_dataset")
    data = open_set("elpv", None, image=IMAGE)
    soft = {sample.soft for sample in data.read().samples}
    assert data.image.crop_pct == 1.0 and {round(good, 2) for good, _ in soft} == {0.0, 0.33, 0.67, 1.0}
