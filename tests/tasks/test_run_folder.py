import pytest

from src.tasks import run_folder
from src.tasks.run_folder import point_latest, require_name, require_new


def begin(folder, *names):
    for name in ("config.yaml", "overrides.json", "data.json", *names):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def test_a_folder_that_nobody_named_is_a_new_one(tmp_path):
    with run_folder(tmp_path / "run", named=False) as first, run_folder(tmp_path / "run", named=False) as second:
        assert (first.name, second.name) == ("run", "run-2")


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_that_a_training_is_in_is_refused(tmp_path, resume):
    with run_folder(tmp_path / "run", named=True) as folder:
        with (
            pytest.raises(ValueError, match=r"another training is running in .*run: choose another run_dir, or wait"),
            run_folder(folder, named=True, resume=resume),
        ):
            pass
        assert folder.is_dir()
    with run_folder(folder, named=True):  # it let go
        pass


@pytest.mark.parametrize("name", ["checkpoints/last.ckpt", "adapter.safetensors", "weights.safetensors"])
def test_a_folder_with_a_run_in_it_is_refused(tmp_path, name):
    begin(tmp_path, name)
    with (
        pytest.raises(ValueError, match=r"holds a run already: .* go on with it by resume="),
        run_folder(tmp_path, True),
    ):
        pass
    with run_folder(tmp_path, named=True, resume=True):
        pass
    assert (tmp_path / name).exists()


def test_what_was_broken_off_in_its_first_epoch_is_begun_anew(tmp_path, caplog):
    begin(tmp_path)
    with run_folder(tmp_path, named=True):
        pass
    assert "was broken off before an epoch was whole: it begins anew" in caplog.text


@pytest.mark.parametrize("there", [False, True])
def test_a_failure_before_an_epoch_is_whole_leaves_nothing(tmp_path, there):
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
        (folder / "mine.txt").touch()
    with pytest.raises(ValueError, match="lr"), run_folder(folder, named=True):
        begin(folder)
        raise ValueError("lr")
    assert {path.name for path in folder.glob("[!.]*")} == {"mine.txt"} if there else not folder.exists()


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
def test_a_failure_after_an_epoch_and_a_stop_leave_what_can_be_gone_on_with(tmp_path, stop):
    names = () if stop is KeyboardInterrupt else ("checkpoints/last.ckpt",)
    with pytest.raises(stop), run_folder(tmp_path / "run", named=True) as folder:
        begin(folder, *names)
        raise stop
    assert (folder / "config.yaml").exists()
    with pytest.raises(ValueError), run_folder(folder, named=True, resume=True):
        raise ValueError
    assert (folder / "config.yaml").exists()


def test_latest_is_moved_and_never_a_run(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        point_latest(tmp_path / name)
        assert str((tmp_path / "latest").readlink()) == name
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(ValueError, match="has the name of the link to the newest run"):
        require_new(tmp_path / "x" / "latest")


@pytest.mark.parametrize("name", ["", "..", "../x", "/x"])
def test_a_name_leads_nowhere_else(name):
    with pytest.raises(ValueError, match="is no folder in exports"):
        require_name(name)


@pytest.mark.parametrize("place", ["taken", "taken/run"])
def test_a_folder_that_cannot_be_made_is_named_with_a_way_out(tmp_path, place):
    (tmp_path / "taken").touch()
    with (
        pytest.raises(OSError, match=r"taken.* cannot be written \(.*\): a file stands where its folder should be"),
        run_folder(tmp_path / place, named=True),
    ):
        pass


def test_a_name_that_is_null_is_refused():
    with pytest.raises(ValueError, match="name=null is no folder in exports"):
        require_name(None)
