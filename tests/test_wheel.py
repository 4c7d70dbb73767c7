"""The wheel in an empty folder, alone and with what a training needs; and files of one name under the other."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.conftest import ROOT, TINY
from tests.edge.test_runtime import write_bundle

pytestmark = pytest.mark.slow
OFFLINE = ("Could not find a version", "Connection", "Temporary failure", "No matching distribution")
SHORT = (*TINY, "trainer.max_epochs=1")


def run(*command, cwd):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def done(*command, cwd):
    ended = run(*command, cwd=cwd)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended


def pip(*words, cwd):
    ended = run(sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *words, cwd=cwd)
    if ended.returncode and os.environ.get("CI") != "true" and any(sign in ended.stderr for sign in OFFLINE):
        pytest.skip(f"no package index holds it: {ended.stderr.strip().splitlines()[-1]}")
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy, so that the clone stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, folder / "clone" / name, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "clone" / name)
    pip("wheel", ".", "--no-deps", "-w", folder, cwd=folder / "clone")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def base(wheel, tmp_path_factory):
    """Return the programs of an environment with the wheel and what it requires, downloaded."""
    folder = tmp_path_factory.mktemp("base")
    venv.create(folder, with_pip=False, symlinks=True)
    pip("--python", folder / "bin" / "python", "install", wheel, cwd=folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def full(wheel, tmp_path_factory):
    """Return the programs of an environment with the wheel beside the packages of this one."""
    folder = tmp_path_factory.mktemp("full")
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next((folder / "lib").glob("python3*/site-packages"))
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib"))
    pip("--python", folder / "bin" / "python", "install", "--no-deps", "--ignore-installed", wheel, cwd=folder)
    return folder / "bin"


@pytest.fixture
def empty(tmp_path, plates):
    """Return an empty folder, but for pictures."""
    shutil.copytree(plates, tmp_path / "here" / "parts")
    return tmp_path / "here"


def test_the_wheel_alone_predicts_without_torch(base, empty):
    write_bundle(empty / "edge")
    said = done(base / "graft", "predict", "model=edge", "input=parts/good", cwd=empty)
    assert "20 decided" in said.stderr and len(list(map(json.loads, said.stdout.splitlines()))) == 20
    assert done(base / "python", "-m", "graft", "predict", "model=edge", "input=parts/good", cwd=empty).stdout
    code = (
        "import importlib.util as util, sys; from graft.edge import Runtime; Runtime('edge')\n"
        "assert not [name for name in ('src', 'torch', 'graft.benchmarks') if util.find_spec(name)], sys.path"
    )
    done(base / "python", "-c", code, cwd=empty)
    listed = done(base / "graft", "--help", cwd=empty).stdout
    assert all(f"\n  {verb} " in listed for verb in ("audit", "evaluate", "export", "predict", "train"))
    for verb, words in (("train", 'pip install "graft-vision[train]"'), ("benchmark", "clone Graft's repository")):
        refused = run(base / "graft", verb, cwd=empty)
        assert refused.returncode == 2 and words in refused.stderr and len(refused.stderr.splitlines()) == 1
    assert {path.name for path in empty.iterdir()} == {"edge", "parts"}


def test_an_installed_training_goes_all_the_way_and_its_files_load_in_a_clone(full, base, empty):
    data = ("data.root=parts", *SHORT, "name=x")
    said = done(full / "graft", "train", *data, cwd=empty).stdout
    assert "\ngraft export adapter=exports/x/" in said and "\ngraft predict model=exports/x/" in said
    (empty / "src").mkdir()  # a package of the user's own may have our other name
    (empty / "src" / "mydata.py").write_text("from graft.data import FolderData\n\nclass X(FolderData):\n    pass\n")
    audited = ("data._target_=src.mydata.X", *data[:-2], "output=audit")
    done(full / "graft", "audit", *audited, cwd=empty)
    assert (empty / "audit" / "audit.html").is_file()
    run_folder = (empty / "exports" / "x" / "latest").resolve()
    written = b"".join(path.read_bytes() for path in run_folder.rglob("*.ckpt"))
    assert b"src." not in written and b"graft." not in written
    assert "_target_: graft.data.FolderData" in (run_folder / "config.yaml").read_text()
    done(full / "graft", "export", "adapter=exports/x/latest", cwd=empty)
    said = done(base / "graft", "predict", "model=exports/x/latest", "input=parts/good", cwd=empty)
    assert "20 decided" in said.stderr
    where = ("data.root=" + str(empty / "parts"),)
    done(sys.executable, "-m", "src.evaluate", f"adapter={run_folder}", *where, cwd=ROOT)
    assert_evaluated_alike(run_folder)


def assert_evaluated_alike(run_folder: Path) -> None:
    """Assert that the one evaluation of a run gave the figures of its training."""
    (evaluation,) = (run_folder / "evaluations").iterdir()
    trained, judged = (json.loads((folder / "metrics.json").read_text()) for folder in (run_folder, evaluation))
    assert {split: judged[split] for split in ("val", "test")} == {split: trained[split] for split in ("val", "test")}


def rewrite(run_folder: Path) -> None:
    """Let a run say what one of a clone said before there was another name."""
    config = run_folder / "config.yaml"
    config.write_text(config.read_text().replace("_target_: graft.", "_target_: src."))
    adapter = run_folder / "adapter.safetensors"
    with safe_open(adapter, framework="pt") as file:
        metadata = {key: text.replace('"graft.', '"src.') for key, text in file.metadata().items()}
    save_file(load_file(adapter), adapter, metadata)
    assert b"src.data.FolderData" in adapter.read_bytes()


def test_a_run_of_a_clone_from_before_goes_on_where_it_is_installed(full, empty):
    done(
        sys.executable, "-m", "src.train", f"data.root={empty / 'parts'}", *SHORT, f"run_dir={empty / 'run'}", cwd=ROOT
    )
    rewrite(empty / "run")
    done(full / "graft", "evaluate", "adapter=run", cwd=empty)
    assert_evaluated_alike(empty / "run")
    done(full / "graft", "train", "resume=run", "trainer.max_epochs=2", cwd=empty)
    rows = (empty / "run" / "history.csv").read_text().splitlines()[1:]
    assert [int(float(row.partition(",")[0])) for row in rows] == [-1, 0, 1]
