"""The tests can be called from any folder of the clone, with pytest-xdist and without."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT, pytest_cmdline_main


def test_no_option_of_a_plugin_stands_where_no_conftest_is_read():
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "--collect-only", "-q"]
    ended = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, check=False)
    assert ended.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, ended.stderr


@pytest.mark.parametrize(
    ("given", "workers", "way"),
    [
        ({}, "auto", "loadfile"),
        ({"numprocesses": 0}, 0, "loadfile"),  # which pytest-xdist takes back
        ({"numprocesses": 3}, 3, "loadfile"),
        ({"numprocesses": 3, "dist": "each"}, 3, "each"),
        ({"tx": ["popen"]}, None, "no"),
    ],
)
def test_workers_take_a_file_each_unless_told_otherwise(given, workers, way):
    option = SimpleNamespace(**{"numprocesses": None, "dist": "no", "tx": [], "distload": False, **given})
    plugins = SimpleNamespace(hasplugin=lambda name: True)
    pytest_cmdline_main(SimpleNamespace(option=option, pluginmanager=plugins))
    assert (option.numprocesses, option.dist) == (workers, way)
