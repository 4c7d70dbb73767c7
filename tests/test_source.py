"""Names are followed through sources as an import would, and nothing is imported on the way."""

import inspect
import subprocess
import sys

import pytest
from hydra.utils import get_object

from src.source import find
from tests.conftest import ROOT
from tests.test_configs import CONF


def targets():
    texts = [path.read_text() for path in CONF.rglob("*.yaml")]
    return sorted({line.split()[1] for text in texts for line in text.splitlines() if "_target_: " in line})


@pytest.mark.parametrize("target", [each for each in targets() if each[0] != "$"])
@pytest.mark.parametrize("name", ["src", "graft"])
def test_every_target_of_the_configs_is_found_where_python_finds_it(target, name):
    here = target.replace("graft.", f"{name}.")
    found, imported = find(here), get_object(target.replace("graft.", "src."))
    assert found is not None and found.node.name == imported.__name__
    assert str(found.module.path) == inspect.getsourcefile(imported)
    assert found.module.ours == target.startswith("graft.")


@pytest.mark.parametrize(
    "name",
    [
        "src",
        "src.data",
        "src.data.Nothing",
        "src.nowhere.X",
        "nowhere.X",
        "__main__.X",
        "builtins.int",
        "",
        "src./tmp/x.X",
    ],
)
def test_what_no_source_defines_is_not_found(name):
    assert find(name) is None


def test_nothing_is_imported():
    code = (
        "import sys; from src.signatures import read_signature as read\n"
        "assert set(read('graft.data.FolderData').parameters['root'].kinds()) == {'str', 'None', 'path'}\n"
        "assert 'lr' in read('torch.optim.AdamW').parameters and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_module_that_python_cannot_read_defines_nothing(tmp_path, monkeypatch):
    (tmp_path / "half_written.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find("half_written.f") is None
