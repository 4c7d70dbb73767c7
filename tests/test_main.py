"""The command `graft`: a verb and its settings, or the list of verbs."""

import subprocess
import sys

import pytest

from src.__main__ import VERBS
from tests.conftest import ROOT


def graft(*words):
    command = [sys.executable, "-m", "src", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_every_command_has_a_line(words):
    ended = graft(*words)
    lines = {line.split()[0]: line for line in ended.stdout.splitlines() if line.startswith("  ")}
    assert ended.returncode == 0 and set(lines) == set(VERBS) and {"train", "predict"} < set(VERBS)
    assert all(len(line.split()) > 4 and len(line) <= 100 for line in lines.values())


def test_another_word_is_refused_with_a_near_one():
    ended = graft("trian")
    assert (ended.returncode, ended.stderr) == (2, "error: there is no command trian: did you mean train?\n")


def test_a_command_takes_the_rest():
    ended = graft("predict", "model=nowhere")
    assert (ended.returncode, ended.stderr) == (2, "error: input is not given: add input=VALUE\n")
